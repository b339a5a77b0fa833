;; Writes 64 KiB to stdout.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 20) (i32.const 0x10000))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 12)))))
