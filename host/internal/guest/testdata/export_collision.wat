;; Exports globals under the names that metering adds, and sets them: they are its own, and fuel ends it as any other.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (global $first (export "wasmloop_global_0") (mut i64) (i64.const 1))
  (global $fuel (export "wasmloop_fuel") (mut i64) (i64.const 2))
  (global (export "wasmloop_fuel_") (mut i64) (i64.const 3))
  (global (export "wasmloop_global_2") (mut i64) (i64.const 4))
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (loop $again
      (global.set $fuel (i64.const 0x7fffffffffffffff))
      (global.set $first (i64.const 0x7fffffffffffffff))
      (br $again)))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
