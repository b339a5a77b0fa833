package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "Secret"}}

var selector = sdk.LabelSelector{MatchLabels: map[string]string{"team": "web"}}

// propagation is one of the Secret vault/pull.
var propagation = SecretPropagation{
	Object: sdk.NewObject("config.example.com/v1", "SecretPropagation", "p"),
	Spec:   Spec{Source: Source{Namespace: "vault", Name: "pull"}, NamespaceSelector: selector},
}

func pull(namespace string) Secret {
	made := Secret{Object: sdk.NewObject("v1", "Secret", "pull"), Type: "example.com/pull", Data: map[string]string{"token": "AAE="}}
	made.Metadata.Namespace = namespace
	return made
}

func original() Secret {
	made := pull("vault")
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
		"all are there":          {"a copy for each", []any{original(), namespace("b"), namespace("a")}, []string{"Secret a/pull", "Secret b/pull"}, "Copied"},
		"its own is selected":    {"the original is there already", []any{original(), namespace("a"), namespace("vault")}, []string{"Secret a/pull"}, "Copied"},
		"a namespace is going":   {"nothing can be made in it", []any{original(), namespace("a"), going("b")}, []string{"Secret a/pull"}, "Copied"},
		"no namespace":           {"one may come yet", []any{original()}, []string{}, "Copied"},
		"no original":            {"copies of nothing go", []any{namespace("a")}, []string{}, "SourceMissing"},
		"another of its name":    {"it is in another namespace", []any{pull("a"), namespace("a")}, []string{}, "SourceMissing"},
		"nothing was asked yet":  {"the host gives what is asked for, and asks again", nil, []string{}, "SourceMissing"},
		"copies are no original": {"they are seen as what they are", []any{original(), pull("a"), namespace("a")}, []string{"Secret a/pull"}, "Copied"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: propagation, Owns: owns, Related: tt.related})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: copies (-want +got):\n%s", tt.reason, diff)
			}
			asked := []sdk.Related{
				{APIVersion: "v1", Kind: "Secret", Namespace: "vault", Names: []string{"pull"}},
				{APIVersion: "v1", Kind: "Namespace", LabelSelector: &selector},
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
		Object: propagation, Owns: owns, Related: []any{original(), namespace("a")},
	})
	if diff := cmp.Diff(pull("a"), sdktest.Child[Secret](t, got, "Secret", "a/pull")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
