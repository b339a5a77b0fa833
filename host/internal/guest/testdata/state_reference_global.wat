;; Writes to a global of a reference type. It does so for an empty request, and answers with what it found before.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (global $function (mut funcref) (ref.null func))
  (elem declare func $nothing)
  (func $nothing)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i32.store8 (i32.const 0)
      (ref.is_null (global.get $function)))
    (call $response_write (i32.const 0) (i32.const 1))
    (if (i32.eqz (call $request_len)) (then
      (global.set $function (ref.func $nothing))))
    (i32.const 0)))
