package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

func TestView(t *testing.T) {
	const object = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","labels":{"a.b/c":"d"},"generation":2},` +
		`"spec":{"nodeName":"x","containers":[{"name":"c"}],"a":{"b":1,"c":2}},"status":{"phase":"Running"}}`
	tests := map[string]struct {
		reason string
		view   View
		want   string
	}{
		"all": {"nothing is said", View{}, object},
		"fields": {
			"what names the object is always there",
			View{Fields: []string{"metadata.labels", "spec.a.c", "none"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","labels":{"a.b/c":"d"}},"spec":{"a":{"c":2}}}`,
		},
		"ignore": {
			"all but these",
			View{Ignore: []string{"status", "metadata.labels", "spec.a.b", "spec.containers", "none.at.all"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","generation":2},"spec":{"nodeName":"x","a":{"c":2}}}`,
		},
		"names with dots": {
			"they are in brackets",
			View{Fields: []string{"metadata.labels[a.b/c]", "spec[nodeName]", "spec[a].b"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","labels":{"a.b/c":"d"}},"spec":{"nodeName":"x","a":{"b":1}}}`,
		},
		"names with dots ignored": {
			"the others stay",
			View{Ignore: []string{"metadata.labels[a.b/c]", "spec", "status"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","labels":{},"generation":2}}`,
		},
		"both": {
			"what is ignored is so within the fields",
			View{Fields: []string{"spec"}, Ignore: []string{"spec.a", "spec.containers"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u"},"spec":{"nodeName":"x"}}`,
		},
		"through what is no object": {
			"there is nothing below",
			View{Fields: []string{"spec.nodeName.x", "status.phase"}},
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u"},"spec":{},"status":{"phase":"Running"}}`,
		},
		"ignored through what is no object": {
			"there is nothing below to leave out",
			View{Ignore: []string{"spec.nodeName.x", "metadata", "status", "spec.containers", "spec.a"}},
			`{"apiVersion":"v1","kind":"Pod","spec":{"nodeName":"x"}}`,
		},
	}
	parsed, err := kube.Parse([]byte(object), schema.GroupVersionKind{Version: "v1", Kind: "Pod"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(tt.view.of(parsed))); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestUnseenChanges changes what the module does not see: it is not called, and what somebody has done to a child is put
// back all the same.
func TestUnseenChanges(t *testing.T) {
	hidden := OwnedKind{Kind: configMap, View: View{Ignore: []string{"data"}}, Options: apply.KindOptions{}}
	b := newBench(t, Controller{For: thing, View: View{Ignore: []string{"status", "metadata.labels"}}, Owns: []OwnedKind{hidden}})
	b.settle(wants("a"))
	b.edit(thing, b.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["labels"] = map[string]any{"a": "b"}
	})
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("an unseen label of the object: -want +got:\n%s", diff)
	}
	b.resize(2)
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("a field that it sees: -want +got:\n%s", diff)
	}
	name := b.name
	b.edit(configMap, name, func(object map[string]any) { object["data"] = map[string]any{"of": "somebody"} })
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1, Writes: 1}, b.did()); diff != "" {
		t.Errorf("an unseen field of a child, which is ours: -want +got:\n%s", diff)
	}
}
