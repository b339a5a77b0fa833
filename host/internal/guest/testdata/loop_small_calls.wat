;; A loop of calls of functions that are so small that others pay for them: direct ones, and those of a table.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (table funcref (elem $a $b))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (loop $again
      (call $a)
      (call_indirect (i32.const 0))
      (br $again)))
  (func $a (call $b) (call $b))
  (func $b nop nop nop nop)
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
