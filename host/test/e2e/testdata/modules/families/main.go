// Command families is a module whose objects have children of several kinds, one of them in another namespace.
package main

import (
	"strings"

	"github.com/wasmloop/wasmloop/sdk"
)

func init() { sdk.Register(reconcile) }

func main() {}

// Family is the reconciled object.
type Family struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		// Members are the names of its children at home. Each has a ConfigMap, a Secret and a ServiceAccount.
		Members []string `json:"members"`
		// Text is put into each ConfigMap.
		Text string `json:"text"`
		// Abroad is the namespace of a ConfigMap with the family's name, empty if there is none.
		Abroad string `json:"abroad"`
	} `json:"spec"`
}

func reconcile(req *sdk.Request[Family]) (*sdk.Response, error) {
	family := req.Object
	data := map[string]any{"text": family.Spec.Text}
	response := new(sdk.Response).Own()
	for _, name := range family.Spec.Members {
		response.Own(child("ServiceAccount", name, nil), child("Secret", name, nil), child("ConfigMap", name, data))
	}
	if family.Spec.Abroad != "" {
		abroad := child("ConfigMap", family.Metadata.Name, data)
		abroad["metadata"].(map[string]any)["namespace"] = family.Spec.Abroad
		response.Own(abroad)
	}
	response.Status = map[string]any{"members": strings.Join(family.Spec.Members, ","), "text": family.Spec.Text}
	return response, nil
}

func child(kind, name string, data map[string]any) map[string]any {
	made := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}
	if data != nil {
		made["data"] = data
	}
	return made
}
