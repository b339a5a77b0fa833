package apiserver

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/discovery"
)

type property struct {
	Ref        string              `json:"$ref"`
	Type       string              `json:"type"`
	Properties map[string]property `json:"properties"`
	Items      *property           `json:"items"`
}

// TestOpenAPI follows a field through the published schemas, which lead from a kind to the types of its fields.
func TestOpenAPI(t *testing.T) {
	api, err := discovery.NewDiscoveryClientForConfig(newServer(t, Options{}).Config())
	if err != nil {
		t.Fatal(err)
	}
	paths, err := api.OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, model string
		fields      []string
		want        string
	}{
		"custom kind":       {"apis/test.dev/v1", "dev.test.v1.Widget", []string{"status", "conditions", "observedGeneration"}, "integer"},
		"its metadata":      {"apis/test.dev/v1", "dev.test.v1.Widget", []string{"metadata", "ownerReferences", "uid"}, "string"},
		"built-in kind":     {"apis/apps/v1", "io.k8s.api.apps.v1.Deployment", []string{"spec", "template", "spec", "containers", "image"}, "string"},
		"core kind":         {"api/v1", "io.k8s.api.core.v1.Pod", []string{"status", "conditions", "observedGeneration"}, "number"},
		"what it lacks":     {"apis/apps/v1", "io.k8s.api.apps.v1.Deployment", []string{"status", "conditions", "observedGeneration"}, ""},
		"kind of no schema": {"api/v1", "io.k8s.api.core.v1.Thing", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := paths[tt.path].Schema("application/json")
			if err != nil {
				t.Fatal(err)
			}
			var document struct {
				Components struct{ Schemas map[string]property }
			}
			if err := json.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			schemas := document.Components.Schemas
			resolve := func(p property) property {
				if p.Ref != "" {
					p = schemas[p.Ref[len(componentsPath):]]
				}
				return p
			}
			found := schemas[tt.model]
			for _, name := range tt.fields {
				if found = resolve(found); found.Items != nil {
					found = resolve(*found.Items)
				}
				found = found.Properties[name]
			}
			if diff := cmp.Diff(tt.want, found.Type); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
