;; Imports a function from a module that the host does not have. A command is not started when it is loaded; it is
;; refused all the same.
(module
  (import "env" "abort" (func (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
