;; Imports another function from where the one that refuels is. A command is not started when it is loaded; it is
;; refused all the same.
(module
  (import "wasmloop_meter" "tock" (func))
  (memory (export "memory") 1)
  (func (export "_start")))
