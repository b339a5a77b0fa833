// Command module is the guest of the cluster benchmark: a MarkdownView controller whose status waits for nothing, so that
// a new object costs exactly four writes. ../../native does the same.
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

// View is the reconciled object.
type View struct {
	Spec struct {
		Markdowns map[string]string `json:"markdowns"`
		Replicas  int64             `json:"replicas"`
	} `json:"spec"`
}

// ConfigMap is the part of a ConfigMap that this module owns.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

// Workload is a Deployment or a Service, whose spec is simple enough to be said as it is.
type Workload struct {
	sdk.Object
	Spec map[string]any `json:"spec"`
}

func reconcile(req *sdk.Request[View]) (*sdk.Response, error) {
	labels := map[string]any{"view": req.Name}
	config := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", "markdowns-"+req.Name), Data: req.Object.Spec.Markdowns}
	deployment := Workload{Object: sdk.NewObject("apps/v1", "Deployment", "viewer-"+req.Name), Spec: map[string]any{
		"replicas": req.Object.Spec.Replicas,
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec": map[string]any{
				"containers": []any{map[string]any{
					"name": "mdbook", "image": "example.com/mdbook:1", "args": []any{"serve", "--hostname", "0.0.0.0"},
					"ports":        []any{map[string]any{"containerPort": 3000}},
					"volumeMounts": []any{map[string]any{"name": "markdowns", "mountPath": "/book/src"}},
				}},
				"volumes": []any{map[string]any{"name": "markdowns", "configMap": map[string]any{"name": "markdowns-" + req.Name}}},
			},
		},
	}}
	service := Workload{Object: sdk.NewObject("v1", "Service", "viewer-"+req.Name), Spec: map[string]any{
		"selector": labels, "ports": []any{map[string]any{"port": 80, "targetPort": 3000}},
	}}
	response := &sdk.Response{Status: map[string]any{"observedGeneration": req.Generation, "phase": "Available"}}
	return response.Own(config, deployment, service), nil
}
