;; What it exports as reconcile is a global.
(module
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (global (export "reconcile") i32 (i32.const 0)))
