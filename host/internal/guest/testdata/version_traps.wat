;; It traps when it is asked which ABI it speaks.
(module
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) unreachable)
  (func (export "reconcile") (result i32) (i32.const 0)))
