;; An empty request makes it grow its memory and write there. Any other makes it read from there, which traps if it has
;; not grown.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32)
    (if (call $request_len)
      (then (drop (i32.load8_u (i32.const 70000))))
      (else
        (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then (unreachable)))
        (if (i32.load8_u (i32.const 70000)) (then (unreachable)))
        (i32.store8 (i32.const 70000) (i32.const 1))))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
