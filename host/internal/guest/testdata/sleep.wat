;; Sleeps for an hour, and answers with the time before and after, the number of events and the event.
(module
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param $id i32) (param $precision i64) (param $time i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)))
  (memory (export "memory") 1)
  ;; A subscription to the monotonic clock at 64: 8 bytes of user data, then what kind, then the clock, then its timeout.
  (data (i32.const 64) "userdata\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i64.store (i32.const 88) (i64.const 3600000000000))
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 24) (i32.const 1) (i32.const 16)))
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
    (call $response_write (i32.const 0) (i32.const 56))
    (i32.const 0)))
