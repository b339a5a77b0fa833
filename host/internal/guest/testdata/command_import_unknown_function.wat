;; Imports a function that the host does not have. A command is not started when it is loaded; it is refused all the
;; same.
(module
  (import "wasmloop" "delete_cluster" (func))
  (memory (export "memory") 1)
  (func (export "_start")))
