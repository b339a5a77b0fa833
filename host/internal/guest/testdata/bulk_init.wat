;; Initialises memory from a segment again and again.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (data $bytes "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (loop $again
      (memory.init $bytes (i32.const 16) (i32.const 0) (i32.const 64))
      (br $again)))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
