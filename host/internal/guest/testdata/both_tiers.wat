;; It is a reactor and a command.
(module
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32) (i32.const 0))
  (func (export "_start")))
