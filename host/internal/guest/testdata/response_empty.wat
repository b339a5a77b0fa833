;; Responds with nothing, which is a response.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (if (call $request_len) (then (call $response_write (i32.const 0) (i32.const 2)) (return (i32.const 0))))
    (call $response_write (i32.const 0) (i32.const 0))
    (i32.const 0)))
