;; Fills as much memory as the request is long, times 1,024: so does the fuel grow.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 16)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (memory.fill (i32.const 0) (i32.const 0) (i32.mul (call $request_len) (i32.const 1024)))
    (call $response_write (i32.const 0) (i32.const 0))
    (i32.const 0)))
