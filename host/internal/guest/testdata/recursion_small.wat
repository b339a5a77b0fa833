;; Functions that are so small that others would pay for them, did they not call each other: each calls the next twice, down
;; to a depth of 60, without any loop.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave (call $a (i32.const 60)))
  (func $a (param $left i32)
    (if (local.get $left)
      (then
        (call $b (i32.sub (local.get $left) (i32.const 1)))
        (call $b (i32.sub (local.get $left) (i32.const 1))))))
  (func $b (param $left i32) (call $c (local.get $left)))
  (func $c (param $left i32) (call $a (local.get $left)))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
