;; The loop takes and returns values on the operand stack: charging for it must leave them there.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (i32.const 1)
    (i64.const 2)
    (loop $again (param i32 i64) (result i64)
      (i64.add (i64.const 1))
      (br_if $again (i32.const 1))
      (br $again))
    (drop))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
