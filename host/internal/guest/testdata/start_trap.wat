;; The start function traps.
(module
  (memory (export "memory") 1)
  (func $start unreachable)
  (start $start)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32) (i32.const 0)))
