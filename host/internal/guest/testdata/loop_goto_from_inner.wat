;; A goto that goes back from within a loop that is otherwise run once, which is itself in a loop of gotos.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave (local $where i32)
    (loop $goto
      (block $second
        (block $first
          local.get $where
          br_table $first $second)
        i32.const 1
        local.set $where
        br $goto)
      (loop $inner
        (if (local.get $where)
          (then
            i32.const 0
            local.set $where
            br $goto))
        (br_if $inner (local.get $where)))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
