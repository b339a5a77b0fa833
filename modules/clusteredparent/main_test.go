package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: rbacVersion, Kind: "RoleBinding"}}

const role = "example:reader"

// reader returns a ClusterRole that is to be bound in a namespace.
func reader(namespace string) any {
	return map[string]any{"apiVersion": rbacVersion, "kind": "ClusterRole", "metadata": map[string]any{
		"name": role, "annotations": map[string]any{annotation: namespace},
	}}
}

func namespace(name string) any { return sdk.NewObject("v1", "Namespace", name) }

func going(name string) any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": name, "deletionTimestamp": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}}
}

func TestReconcile(t *testing.T) {
	asks := func(name string) []sdk.Related {
		return []sdk.Related{{APIVersion: "v1", Kind: "Namespace", Names: []string{name}}}
	}
	there := []string{"RoleBinding a/" + role}
	tests := map[string]struct {
		reason   string
		object   any
		related  []any
		children []any
		want     []string
		asked    []sdk.Related
		events   int
	}{
		"its namespace is there":     {"bound there", reader("a"), []any{namespace("a")}, nil, there, asks("a"), 0},
		"bound already":              {"and it stays so", reader("a"), []any{namespace("a")}, []any{binding(role, "a")}, there, asks("a"), 0},
		"bound elsewhere":            {"the annotation was changed", reader("a"), []any{namespace("a")}, []any{binding(role, "b")}, there, asks("a"), 0},
		"its namespace is not there": {"it may come yet", reader("a"), nil, nil, []string{}, asks("a"), 1},
		"its namespace is going":     {"nothing can be made in it", reader("a"), []any{going("a")}, nil, []string{}, asks("a"), 1},
		"its annotation is no name":  {"there will never be such a namespace", reader("A/b"), nil, nil, []string{}, asks("A/b"), 1},
		"its annotation is empty":    {"that names none, and not all", reader(""), nil, []any{binding(role, "b")}, []string{}, nil, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tt.object, Owns: owns, Related: tt.related, Children: tt.children})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: bindings (-want +got):\n%s", tt.reason, diff)
			}
			if diff := cmp.Diff(tt.asked, got.Related); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", tt.reason, diff)
			}
			if len(got.Events) != tt.events || got.Finalized {
				t.Errorf("%s: events %v, finalized %t", tt.reason, got.Events, got.Finalized)
			}
		})
	}
}

func TestBinding(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: reader("a"), Owns: owns, Related: []any{namespace("a")}})
	want := RoleBinding{
		Object:   sdk.NewObject("rbac.authorization.k8s.io/v1", "RoleBinding", role),
		RoleRef:  RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: role},
		Subjects: []Subject{{Kind: "ServiceAccount", Name: "default", Namespace: "a"}},
	}
	want.Metadata.Namespace = "a"
	if diff := cmp.Diff(want, sdktest.Child[RoleBinding](t, got, "RoleBinding", "a/"+role)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFinalize(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{
		Object: reader("a"), Related: []any{namespace("a")}, Children: []any{binding(role, "a")}, Finalizing: true,
	})
	if names := sdktest.Names(got); names == nil || len(names) > 0 || !got.Finalized {
		t.Errorf("want no binding and the finalizer gone, got %v, %t", names, got.Finalized)
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
