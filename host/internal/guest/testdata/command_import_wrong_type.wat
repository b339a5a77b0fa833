;; Imports a function of the host as what it is not. A command is not started when it is loaded; it is refused all the
;; same.
(module
  (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
