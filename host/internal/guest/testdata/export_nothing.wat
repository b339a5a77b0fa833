;; It exports its memory and nothing to call.
(module
  (memory (export "memory") 1))
