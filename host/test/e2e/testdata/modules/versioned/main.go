// Command versioned is a module that says which version it is.
package main

import "github.com/wasmloop/wasmloop/sdk"

// version is set by the linker.
var version = "none"

func init() { sdk.Register(reconcile) }

func main() {}

// Probe is the part of the reconciled object that matters.
type Probe struct {
	Spec struct {
		Text string `json:"text"`
	} `json:"spec"`
}

// ConfigMap is the child: it says which version made it, and of what.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

func reconcile(req *sdk.Request[Probe]) (*sdk.Response, error) {
	child := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", req.Name)}
	child.Data = map[string]string{"version": version, "text": req.Object.Spec.Text}
	return new(sdk.Response).Own(child), nil
}
