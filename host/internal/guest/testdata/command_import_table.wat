;; Imports a table. A command is not started when it is loaded; it is refused all the same.
(module
  (import "env" "table" (table 1 funcref))
  (memory (export "memory") 1)
  (func (export "_start")))
