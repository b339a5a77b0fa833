;; Calls itself twice through a table, 60 levels deep.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (table 1 funcref)
  (elem (i32.const 0) $twice)
  (func $twice (param $depth i32)
    (if (i32.eqz (local.get $depth)) (then (return)))
    (call_indirect (param i32) (i32.sub (local.get $depth) (i32.const 1)) (i32.const 0))
    (call_indirect (param i32) (i32.sub (local.get $depth) (i32.const 1)) (i32.const 0)))
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (call_indirect (param i32) (i32.const 60) (i32.const 0)))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
