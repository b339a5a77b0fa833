;; Drops a data segment. It does so for an empty request, and answers with what it found before.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data $bytes "a")
  (func $look (result i32)
    (memory.init $bytes (i32.const 8) (i32.const 0) (i32.const 1)) ;; traps once the segment is dropped
    (i32.load8_u (i32.const 8)))
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (i32.store8 (i32.const 0)
      (call $look))
    (call $response_write (i32.const 0) (i32.const 1))
    (if (i32.eqz (call $request_len)) (then
      (data.drop $bytes)))
    (i32.const 0)))
