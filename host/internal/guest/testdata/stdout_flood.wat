;; Writes 16 MiB of ends of lines to stdout, and then a line.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 257)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (memory.fill (i32.const 65536) (i32.const 10) (i32.const 0x1000000))
    (i32.store (i32.const 16) (i32.const 65536))
    (i32.store (i32.const 20) (i32.const 0x1000000))
    (i32.store (i32.const 24) (i32.const 0))
    (i32.store (i32.const 28) (i32.const 2))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 2) (i32.const 12))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
