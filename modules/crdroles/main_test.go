package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}}

// boats returns a CustomResourceDefinition with this annotation.
func boats(value string) any {
	annotations := map[string]any{}
	if value != "" {
		annotations[annotation] = value
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "boats.example.com", "annotations": annotations},
		"spec":     map[string]any{"group": "example.com", "names": map[string]any{"kind": "Boat", "plural": "boats"}},
	}
}

func TestReconcile(t *testing.T) {
	both := []string{"ClusterRole boats.example.com-view", "ClusterRole boats.example.com-edit"}
	tests := map[string]struct {
		reason string
		value  string
		want   []string
	}{
		"asked for":     {"one for reading, one for writing", "true", both},
		"to aggregate":  {"the same, with labels", aggregate, both},
		"not asked for": {"none should exist, also not from before", "", []string{}},
		"turned off":    {"it is not the word", "false", []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: boats(tt.value), Owns: owns})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: roles (-want +got):\n%s", tt.reason, diff)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	role := func(name string, verbs []string, labels map[string]string) ClusterRole {
		made := ClusterRole{Object: sdk.NewObject("rbac.authorization.k8s.io/v1", "ClusterRole", "boats.example.com-"+name)}
		made.Metadata.Labels = labels
		made.Rules = []Rule{
			{APIGroups: []string{"example.com"}, Resources: []string{"boats"}, Verbs: verbs},
			{APIGroups: []string{"example.com"}, Resources: []string{"boats/status"}, Verbs: []string{"get"}},
		}
		return made
	}
	const to = "rbac.authorization.k8s.io/aggregate-to-"
	writing := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	tests := map[string]struct {
		value      string
		view, edit map[string]string
	}{
		"true":    {"true", nil, nil},
		aggregate: {aggregate, map[string]string{to + "view": "true", to + "edit": "true", to + "admin": "true"}, map[string]string{to + "edit": "true", to + "admin": "true"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: boats(tt.value), Owns: owns})
			for name, want := range map[string]ClusterRole{
				"view": role("view", []string{"get", "list", "watch"}, tt.view), "edit": role("edit", writing, tt.edit),
			} {
				if diff := cmp.Diff(want, sdktest.Child[ClusterRole](t, got, "ClusterRole", "boats.example.com-"+name)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
