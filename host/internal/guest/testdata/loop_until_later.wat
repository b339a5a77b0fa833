;; Waits for time to pass, as if there were a clock. Each reading moves the clock on by a microsecond, so it would end
;; after a day of them.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param $id i32) (param $precision i64) (param $time i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (local $start i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)))
    (local.set $start (i64.load (i32.const 16)))
    (loop $again
      (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)))
      (br_if $again (i64.lt_u (i64.sub (i64.load (i32.const 16)) (local.get $start)) (i64.const 86400000000000)))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
