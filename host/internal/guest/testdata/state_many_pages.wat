;; Writes to 4 MiB of its memory. It does so for an empty request, and answers with what it found before.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 65)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i32.store8 (i32.const 0)
      (i32.load8_u (i32.const 0x300000)))
    (call $response_write (i32.const 0) (i32.const 1))
    (if (i32.eqz (call $request_len)) (then
      (memory.fill (i32.const 64) (i32.const 1) (i32.const 0x3fff00))))
    (i32.const 0)))
