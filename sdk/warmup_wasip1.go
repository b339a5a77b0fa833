//go:build wasip1 && !wasmloop_command

package sdk

import "runtime"

// warmUp answers the requests, and collects what they leave behind, so that calls begin with an empty heap and end
// before the collector has to run.
func warmUp(requests [][]byte) {
	for _, request := range requests {
		_, _ = Registered()(request) // a test of the module's says whether it can be answered
	}
	runtime.GC()
}
