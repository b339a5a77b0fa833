package setup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// TestOwned hands on what the config says of children.
func TestOwned(t *testing.T) {
	conf, err := config.Parse("config.yaml", []byte(`
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules: {m: {source: "file://m.wasm"}}
controllers:
- name: c
  module: m
  for: {apiVersion: engine.test/v1, kind: Modern}
  owns:
  - {apiVersion: v1, kind: ConfigMap}
  - {apiVersion: v1, kind: Namespace, namespaces: ["*"], updateStrategy: Recreate, ownerReference: Owner}
  - {apiVersion: v1, kind: Secret, updateStrategy: OnDelete, prune: {orphan: true}}
`))
	if err != nil {
		t.Fatal(err)
	}
	entry := &conf.Controllers[0]
	var kinds []reconcile.Kind
	for _, owned := range entry.OwnedKinds() {
		kind, err := kindsOf(t).Find(t.Context(), owned.Schema())
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
	}
	got := Owned(entry, kinds)
	core := func(kind string, namespaced, status bool) reconcile.Kind {
		return reconcile.Kind{
			GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: kind}, Namespaced: namespaced, Status: apply.StatusOptions{Subresource: status},
		}
	}
	want := []reconcile.OwnedKind{
		{Kind: core("ConfigMap", true, false), Options: apply.KindOptions{Strategy: apply.InPlace}},
		{Kind: core("Namespace", false, true), Namespaces: []string{"*"}, Options: apply.KindOptions{Strategy: apply.Recreate, NotController: true}},
		{Kind: core("Secret", true, false), Options: apply.KindOptions{Strategy: apply.OnDelete, Orphan: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
