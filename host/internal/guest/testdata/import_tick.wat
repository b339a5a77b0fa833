;; Imports the function that refuels.
(module
  (import "wasmloop_meter" "tick" (func (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32) (i32.const 0)))
