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

// global is one of the ConfigMap office/notice.
var global = GlobalConfigMap{
	Object: sdk.NewObject("config.example.com/v1", "GlobalConfigMap", "g"),
	Spec:   Spec{Source: Source{Namespace: "office", Name: "notice"}},
}

func notice(namespace string) ConfigMap {
	made := ConfigMap{
		Object: sdk.NewObject("v1", "ConfigMap", "notice"), Data: map[string]string{"text": "hello"}, BinaryData: map[string]string{"seal": "AAE="},
	}
	made.Metadata.Namespace = namespace
	return made
}

// original is the observed ConfigMap, with more to it than is copied.
func original() ConfigMap {
	made := notice("office")
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
		related []any
		want    []string
		ready   string
	}{
		"all namespaces": {
			"a copy for each but that of the original",
			[]any{original(), namespace("b"), namespace("office"), namespace("a")},
			[]string{"ConfigMap a/notice", "ConfigMap b/notice"},
			"Copied",
		},
		"a namespace is going":  {"nothing can be made in it", []any{original(), namespace("a"), going("b")}, []string{"ConfigMap a/notice"}, "Copied"},
		"no other namespace":    {"one may come yet", []any{original(), namespace("office")}, []string{}, "Copied"},
		"no original":           {"copies of nothing go", []any{namespace("a"), namespace("office")}, []string{}, "SourceMissing"},
		"another of its name":   {"it is in another namespace", []any{notice("a"), namespace("a")}, []string{}, "SourceMissing"},
		"nothing was asked yet": {"the host gives what is asked for, and asks again", nil, []string{}, "SourceMissing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: global, Owns: owns, Related: tt.related})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: copies (-want +got):\n%s", tt.reason, diff)
			}
			asked := []sdk.Related{
				{APIVersion: "v1", Kind: "ConfigMap", Namespace: "office", Names: []string{"notice"}}, {APIVersion: "v1", Kind: "Namespace"},
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
		Object: global, Owns: owns, Related: []any{original(), namespace("a")},
	})
	if diff := cmp.Diff(notice("a"), sdktest.Child[ConfigMap](t, got, "ConfigMap", "a/notice")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
