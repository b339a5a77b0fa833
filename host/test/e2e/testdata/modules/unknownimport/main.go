// Command unknownimport is a module that wants something of the host that no host offers.
package main

import "github.com/wasmloop/wasmloop/sdk"

//go:wasmimport env launch_missiles
func launchMissiles()

func init() {
	sdk.Register(func(*sdk.Request[map[string]any]) (*sdk.Response, error) {
		launchMissiles()
		return &sdk.Response{}, nil
	})
}

func main() {}
