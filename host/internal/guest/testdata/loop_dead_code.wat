;; Loops behind a branch that is always taken are never run; the operand stack there is polymorphic. The one before
;; them is endless.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (loop $again
      (br $again)
      (loop $dead (param i32) (result i32) (memory.grow) (br_if $dead (i32.const 0)))
      (memory.fill)
      (loop $dead (br $dead))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
