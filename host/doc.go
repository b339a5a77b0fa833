// Package host is the Wasmloop host: a Go process that runs Kubernetes controllers whose logic is a WebAssembly module.
//
// One reconcile goes through the packages in this order:
//
//   - cmd/wasmloop and internal/cli are the command line.
//   - internal/config reads the config file: which modules there are, and which controllers they are the logic of.
//   - internal/source fetches the modules, and internal/modinfo is what they say of themselves. internal/source/signature
//     verifies who signed them; it alone touches Sigstore's libraries.
//   - internal/engine is the controller-runtime manager: it watches kinds and queues objects.
//   - internal/setup turns an entry of the config into what reconciles its objects, and finds out how the cluster serves
//     their kinds.
//   - internal/reconcile handles one object: it gathers what the module may know, calls it, has its answer applied, and
//     reports.
//   - internal/guest is the sandbox that a call runs in. It alone touches wazero, and knows no Kubernetes.
//   - internal/apply makes desired objects so: server-side apply, order, ownership, pruning. It knows no Wasm.
//   - internal/kube is what all of these read, watch and write objects with: it keeps them as JSON.
//
// internal/render is the same loop over a cluster in memory, for wasmloop render, test (render/golden) and check (render/check):
// it wires setup, reconcile, apply and guest as engine does.
//
// internal/localcluster starts a real control plane on this machine, for tests and for wasmloop run --local, and
// internal/localnode adds a node that runs Pods, for test/cluster and make cluster. test/e2e
// tests all of it together, as its users run it; test/crash stops it after every write, over the in-memory API server of
// internal/render/apiserver.
//
// test/cosign holds signatures to cosign's own library, as a Go module of its own.
//
// Decisions and the measurements behind them are in RATIONALE.md.
package host
