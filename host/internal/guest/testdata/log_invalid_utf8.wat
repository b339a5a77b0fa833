;; Logs what is no UTF-8, at a level that there is not.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasmloop" "log" (func $log (param $level i32) (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (data (i32.const 16) "a\ffb")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (call $log (i32.const 99) (i32.const 16) (i32.const 3)))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
