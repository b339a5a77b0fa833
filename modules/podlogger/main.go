// Command podlogger is a Wasmloop module that logs each Pod that is created or changes.
package main

import "github.com/wasmloop/wasmloop/sdk"

func init() { sdk.Register(reconcile) }

func main() { sdk.Main() }

// pod is all of a Pod that this module looks at: its name is in the request's metadata.
type pod struct{}

// reconcile says that it was called. It returns no response, and so has no opinion on anything.
func reconcile(req *sdk.Request[pod]) (*sdk.Response, error) {
	sdk.Log.Info("Reconciler is called", "pod", req.Name)
	return nil, nil
}
