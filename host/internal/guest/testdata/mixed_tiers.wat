;; A command that imports what is there for reactors.
(module
  (import "wasmloop" "response_write" (func (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
