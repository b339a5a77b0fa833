//go:build wasip1 && !wasmloop_command

package sdk

import "runtime"

// warmUp answers the requests, collects what they leave behind, so that calls end before the collector has to run, and answers
// them once more, so that calls find room for objects of each size where there was some.
func warmUp(requests [][]byte) {
	answerAll(requests)
	runtime.GC()
	answerAll(requests)
}

func answerAll(requests [][]byte) {
	for _, request := range requests {
		_, _ = Registered()(request) // a test of the module's says whether it can be answered
	}
}
