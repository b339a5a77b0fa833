;; The start function takes all memory that it can get, and then traps.
(module
  (memory (export "memory") 1)
  (func $start
    (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (unreachable))
  (start $start)
  (func (export "wasmloop_abi_version") (result i32) (i32.const 1))
  (func (export "reconcile") (result i32) (i32.const 0)))
