;; Imports a function that the host does not have.
(module
  (import "wasmloop" "delete_cluster" (func))
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32) (i32.const 0)))
