// Package cosign holds Wasmloop's signatures to cosign's own library. It is a Go module of its own, since that library
// needs as much as the rest of Wasmloop: its first build takes about 2.5 minutes on two cores.
package cosign
