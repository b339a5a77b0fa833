;; A loop that calls a function that uses up much fuel each time: what the loop keeps of it must not be what it had before.
(module
  (import "wasmloop" "request_len" (func $request_len (result i32)))
  (import "wasmloop" "response_write" (func $response_write (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{}")
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func $misbehave
    (loop $again
      (call $work)
      (br $again)))
  (func $work (local $n i32)
    (local.set $n (i32.const 1000))
    (loop $more
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "reconcile") (result i32)
    (if (i32.eqz (call $request_len)) (then (call $misbehave)))
    (call $response_write (i32.const 0) (i32.const 2))
    (i32.const 0)))
