package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}}

// list returns one of the namespace default.
func list(selector sdk.LabelSelector) NamespaceListing {
	object := NamespaceListing{Object: sdk.NewObject("config.example.com/v1", "NamespaceListing", "zoo"), Spec: Spec{LabelSelector: selector}}
	object.Metadata.Namespace = "default"
	return object
}

func namespace(name string) any { return sdk.NewObject("v1", "Namespace", name) }

func TestReconcile(t *testing.T) {
	labelled := sdk.LabelSelector{MatchLabels: map[string]string{"zoo": "yes"}}
	tests := map[string]struct {
		reason   string
		selector sdk.LabelSelector
		related  []any
		want     string
		count    int
	}{
		"some":        {"in order", labelled, []any{namespace("b"), namespace("a")}, "a\nb", 2},
		"none":        {"an empty list is one too", labelled, nil, "", 0},
		"no selector": {"all are asked for", sdk.LabelSelector{}, []any{namespace("default")}, "default", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: list(tt.selector), Owns: owns, Related: tt.related})
			want := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", "zoo-list"), Data: map[string]string{"namespaces": tt.want}}
			if diff := cmp.Diff(want, sdktest.Child[ConfigMap](t, got, "ConfigMap", "zoo-list")); diff != "" {
				t.Errorf("%s: the list (-want +got):\n%s", tt.reason, diff)
			}
			asked := []sdk.Related{{APIVersion: "v1", Kind: "Namespace", LabelSelector: &tt.selector}}
			if diff := cmp.Diff(asked, got.Related); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", tt.reason, diff)
			}
			status := sdktest.Status[Status](t, got)
			if status.Count != tt.count || !sdk.ConditionIs(status.Conditions, "Ready", sdk.True) {
				t.Errorf("%s: got the status %+v, want %d, Ready", tt.reason, status, tt.count)
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
