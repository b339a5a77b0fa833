;; Imports a global. A command is not started when it is loaded; it is refused all the same.
(module
  (import "env" "global" (global i32))
  (memory (export "memory") 1)
  (func (export "_start")))
