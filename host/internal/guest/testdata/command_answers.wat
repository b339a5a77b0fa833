;; Copies stdin to stdout, up to 32 KiB at a time.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param $fd i32) (param $list i32) (param $count i32) (param $read i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 32768))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
      (br_if $again (i32.load (i32.const 8))))))
