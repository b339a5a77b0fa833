// Command follower is the guest of the benchmark of watching: its one child shows what the related object shows. Where it is
// given no such object it wants nothing.
package main

import (
	_ "embed"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() {}

// ConfigMap is the related object, and the child.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

func reconcile(req *sdk.Request[struct{}]) (*sdk.Response, error) {
	shared, found, err := sdk.RelatedObject[ConfigMap](req, "v1", "ConfigMap", "shared")
	if err != nil || !found {
		return &sdk.Response{}, err
	}
	child := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", "follows-"+req.Name), Data: shared.Data}
	return (&sdk.Response{}).Own(child), nil
}
