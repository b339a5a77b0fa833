// Package sdk turns a Go function from request to response into a Wasmloop module.
//
// A module is a program whose init registers the function; the host does the rest:
//
//	func init() { sdk.Register(reconcile) }
//
//	func main() {}
//
//	func reconcile(req *sdk.Request[Greeting]) (*sdk.Response, error) {
//		config := ConfigMap{
//			Object: sdk.NewObject("v1", "ConfigMap", sdk.Name("greeting", req.Name)),
//			Data:   map[string]string{"text": req.Object.Spec.Text},
//		}
//		return new(sdk.Response).Own(config), nil
//	}
//
// Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags "-s -w" -o greeting.wasm .
//
// and test it natively with package sdktest.
//
// # A pure function
//
// The function is called with all that it may know, and says what should be. It has no clock, no randomness, no network
// and no files, and it must answer the same request with the same response: say the complete desired state every time,
// whatever may have caused the call. Do not range over a map into a list without sorting, and keep nothing in package
// variables, since each call starts from a fresh copy of the module.
//
// The wire format is described in ABI.md; its Go types are in package abi.
package sdk
