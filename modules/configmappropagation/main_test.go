package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}}

// propagation returns one of the ConfigMap settings, in the namespace default.
func propagation(targets ...string) ConfigMapPropagation {
	object := ConfigMapPropagation{
		Object: sdk.NewObject("config.example.com/v1", "ConfigMapPropagation", "p"),
		Spec:   Spec{Source: "settings", TargetNamespaces: targets},
	}
	object.Metadata.Namespace = "default"
	return object
}

func settings(namespace string) ConfigMap {
	made := ConfigMap{
		Object: sdk.NewObject("v1", "ConfigMap", "settings"), Data: map[string]string{"color": "blue"}, BinaryData: map[string]string{"key": "AAE="},
	}
	made.Metadata.Namespace = namespace
	return made
}

// original is the observed ConfigMap, with more to it than is copied.
func original() ConfigMap {
	made := settings("default")
	made.Object = made.WithLabels(map[string]string{"theirs": "yes"})
	return made
}

func namespace(name string) any { return sdk.NewObject("v1", "Namespace", name) }

func going(name string) any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": name, "deletionTimestamp": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}}
}

func TestReconcile(t *testing.T) {
	tests := map[string]struct {
		reason  string
		object  ConfigMapPropagation
		related []any
		want    []string
		asked   []string
		ready   string
	}{
		"all are there": {
			"a copy for each",
			propagation("b", "a"),
			[]any{original(), namespace("a"), namespace("b")},
			[]string{"ConfigMap a/settings", "ConfigMap b/settings"},
			[]string{"a", "b"},
			"Copied",
		},
		"one namespace is missing": {
			"the others need not wait",
			propagation("a", "b"),
			[]any{original(), namespace("b")},
			[]string{"ConfigMap b/settings"},
			[]string{"a", "b"},
			"NamespacesMissing",
		},
		"one namespace is going": {
			"nothing can be made in it",
			propagation("a", "b"),
			[]any{original(), namespace("b"), going("a")},
			[]string{"ConfigMap b/settings"},
			[]string{"a", "b"},
			"NamespacesMissing",
		},
		"no original": {
			"nothing cannot be copied, and copies of it go",
			propagation("a"),
			[]any{namespace("a")},
			[]string{},
			[]string{"a"},
			"SourceMissing",
		},
		"not asked yet": {
			"the host gives what is asked for, and asks again",
			propagation("a"),
			nil,
			[]string{},
			[]string{"a"},
			"SourceMissing",
		},
		"twice the same, and its own": {
			"one copy is enough, and the original is none",
			propagation("a", "default", "a"),
			[]any{original(), namespace("a"), namespace("default")},
			[]string{"ConfigMap a/settings"},
			[]string{"a"},
			"Copied",
		},
		"no namespaces": {
			"none is not all",
			propagation(),
			[]any{original(), namespace("a")},
			[]string{},
			[]string{},
			"Copied",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tt.object, Owns: owns, Related: tt.related})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: copies (-want +got):\n%s", tt.reason, diff)
			}
			asked := []sdk.Related{
				{APIVersion: "v1", Kind: "ConfigMap", Names: []string{"settings"}}, {APIVersion: "v1", Kind: "Namespace", Names: tt.asked},
			}
			if diff := cmp.Diff(asked, got.Related); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", tt.reason, diff)
			}
			status := sdktest.Status[Status](t, got)
			ready := status.Conditions[0]
			if ready.Reason != tt.ready || ready.Status != sdk.StatusOf(tt.ready == "Copied") || status.Copies != len(tt.want) {
				t.Errorf("%s: got the status %+v, want %d copies, %s", tt.reason, status, len(tt.want), tt.ready)
			}
		})
	}
}

func TestCopy(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{
		Object: propagation("a"), Owns: owns, Related: []any{original(), namespace("a")},
	})
	if diff := cmp.Diff(settings("a"), sdktest.Child[ConfigMap](t, got, "ConfigMap", "a/settings")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
