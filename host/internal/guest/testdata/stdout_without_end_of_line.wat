;; Writes 64 KiB to stdout, 64 times, without any end of line: one line, and what no line has room for is lost.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (local $i i32)
    (memory.fill (i32.const 1024) (i32.const 97) (i32.const 0xfc00))
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 0xfc00))
    (local.set $i (i32.const 64))
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 12)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $again (local.get $i))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
