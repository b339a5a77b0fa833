;; Imports the function that refuels. A command is not started when it is loaded; it is refused all the same.
(module
  (import "wasmloop_meter" "tick" (func (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start")))
