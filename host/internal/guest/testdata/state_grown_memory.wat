;; Grows its memory and writes to what it got. It does so for an empty request, and answers with what it found before.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i32.store8 (i32.const 0)
      (memory.size))
    (call $response_write (i32.const 0) (i32.const 1))
    (if (i32.eqz (call $request_len)) (then
      (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
      (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))))
    (i32.const 0)))
