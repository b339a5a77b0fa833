;; The start function grows the memory and sets a global, _initialize does so again: each call starts from what they
;; left. It answers with both.
(module
  (import "wasmloop" "response_write" (func $response_write (param i32 i32)))
  (memory (export "memory") 1)
  (global $count (mut i32) (i32.const 0))
  (func $more
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (drop (memory.grow (i32.const 1))))
  (start $more)
  (func (export "_initialize") (call $more))
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i32.store8 (i32.const 0) (i32.add (global.get $count) (i32.const 48)))
    (i32.store8 (i32.const 1) (i32.add (memory.size) (i32.const 48)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
