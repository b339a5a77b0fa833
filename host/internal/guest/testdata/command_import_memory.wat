;; Imports its memory. A command is not started when it is loaded; it is refused all the same.
(module
  (import "env" "memory" (memory 1))
  (export "memory" (memory 0))
  (func (export "_start")))
