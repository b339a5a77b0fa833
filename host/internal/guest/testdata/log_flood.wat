;; Logs 100,000 lines.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasmloop" "log" (func $log (param $level i32) (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (data (i32.const 16) "line")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (local $i i32)
    (local.set $i (i32.const 100000))
    (loop $again
      (call $log (i32.const 0) (i32.const 16) (i32.const 4))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $again (local.get $i))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
