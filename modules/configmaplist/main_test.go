package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}}

var labels = map[string]string{"app": "web"}

// list returns one of the namespace default, of the ConfigMaps of a namespace.
func list(namespace string) ConfigMapListing {
	object := ConfigMapListing{
		Object: sdk.NewObject("config.example.com/v1", "ConfigMapListing", "web"),
		Spec:   Spec{SourceNamespace: namespace, SourceLabels: labels},
	}
	object.Metadata.Namespace = "default"
	return object
}

func configMap(namespace, name string) any {
	made := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", name).WithLabels(labels), Data: map[string]string{"color": "blue"}}
	made.Metadata.Namespace = namespace
	return made
}

func TestReconcile(t *testing.T) {
	tests := map[string]struct {
		reason  string
		object  ConfigMapListing
		related []any
		asked   string
		want    []string
	}{
		"of one namespace": {"in order", list("a"), []any{configMap("a", "two"), configMap("a", "one")}, "a", []string{"a/one", "a/two"}},
		"of all namespaces": {
			"in order of the namespaces first",
			list(""),
			[]any{configMap("b", "one"), configMap("a-a", "one"), configMap("a", "two")},
			"*",
			[]string{"a/two", "a-a/one", "b/one"},
		},
		"of its own": {"as of any other", list("default"), []any{configMap("default", "one")}, "default", []string{"default/one"}},
		"none":       {"an empty list is one too", list("a"), nil, "a", nil},
		"itself": {
			"it is no news",
			list(""),
			[]any{configMap("default", "web-list"), configMap("default", "web")},
			"*",
			[]string{"default/web"},
		},
		"another's namesake": {"it is another one", list(""), []any{configMap("a", "web-list")}, "*", []string{"a/web-list"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tt.object, Owns: owns, Related: tt.related})
			want := ConfigMap{
				Object: sdk.NewObject("v1", "ConfigMap", "web-list"), Data: map[string]string{"configmaps": strings.Join(tt.want, "\n")},
			}
			if diff := cmp.Diff(want, sdktest.Child[ConfigMap](t, got, "ConfigMap", "web-list")); diff != "" {
				t.Errorf("%s: the list (-want +got):\n%s", tt.reason, diff)
			}
			asked := []sdk.Related{{APIVersion: "v1", Kind: "ConfigMap", Namespace: tt.asked, LabelSelector: &sdk.LabelSelector{MatchLabels: labels}}}
			if diff := cmp.Diff(asked, got.Related); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", tt.reason, diff)
			}
			status := sdktest.Status[Status](t, got)
			if status.Count != len(tt.want) || !sdk.ConditionIs(status.Conditions, "Ready", sdk.True) {
				t.Errorf("%s: got the status %+v, want %d, Ready", tt.reason, status, len(tt.want))
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
