;; Loops without end whatever the request, so that the warm-up request cannot be served either.
(module
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (loop $again (br $again))
    (i32.const 0)))
