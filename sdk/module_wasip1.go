//go:build wasip1 && !wasmloop_command

package sdk

import (
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/hostcall"
)

// abiVersion tells the host which version of the contract the module speaks.
//
//go:wasmexport wasmloop_abi_version
func abiVersion() int32 { return abi.Version }

// reconcile answers the host's request with the registered function. It returns 0 if a response was written.
//
//go:wasmexport reconcile
func reconcile() int32 {
	response, err := Registered()(hostcall.Request())
	if err != nil {
		hostcall.Error([]byte(errorMessage(err)))
		return 1
	}
	hostcall.Respond(response)
	return 0
}
