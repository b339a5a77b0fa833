//go:build !wasip1 || wasmloop_command

package sdk

// warmUp does nothing in a process that answers one request, or in a test.
func warmUp([][]byte) {}
