;; Sleeps for 292 years, ten times, and traps if the clock ever goes back.
(module
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param $id i32) (param $precision i64) (param $time i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)))
  (memory (export "memory") 1)
  ;; A subscription to the monotonic clock at 64: 8 bytes of user data, then what kind, then the clock, then its timeout.
  (data (i32.const 64) "userdata\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (local $i i32)
    (local $before i64)
    (i64.store (i32.const 88) (i64.const 0x7fffffffffffffff))
    (local.set $i (i32.const 10))
    (loop $again
      (drop (call $poll_oneoff (i32.const 64) (i32.const 24) (i32.const 1) (i32.const 16)))
      (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
      (if (i64.le_u (i64.load (i32.const 8)) (local.get $before)) (then (unreachable)))
      (if (i64.lt_s (i64.load (i32.const 8)) (i64.const 0)) (then (unreachable)))
      (local.set $before (i64.load (i32.const 8)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $again (local.get $i)))
    (call $response_write (i32.const 0) (i32.const 0))
    (i32.const 0)))
