package apply

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

func keepNone(*kube.Object) bool { return false }

// family applies three children of different kinds and returns them as they are, in the order in which they are given here.
func (b *bench) family(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	children := []*unstructured.Unstructured{
		b.object(t, `{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 80}]}}`),
		b.object(t, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: c}}`),
		b.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`),
	}
	for i, child := range children {
		b.applyOneOf(t, child)
		children[i] = live(t, child)
	}
	b.requests.take()
	return children
}

func observeAll(t *testing.T, objects []*unstructured.Unstructured) []*kube.Object {
	t.Helper()
	observed := make([]*kube.Object, len(objects))
	for i, object := range objects {
		observed[i] = observe(t, object)
	}
	return observed
}

func TestPrune(t *testing.T) {
	tests := map[string]struct {
		reason string
		limit  int
		keep   func(*kube.Object) bool
		// change makes something else of the children, before they are observed.
		change func(t *testing.T, children []*unstructured.Unstructured)
		want   []string
		err    *PruneLimitError
	}{
		"all": {
			reason: "what is needed by others goes last",
			want:   []string{"DELETE services/b", "DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"at the limit": {
			reason: "as many are allowed",
			limit:  3,
			want:   []string{"DELETE services/b", "DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"above the limit": {
			reason: "an answer that wants so much gone is more likely a mistake, and half of a mistake is one too",
			limit:  2,
			err:    &PruneLimitError{Wanted: 3, Limit: 2},
		},
		"above the limit with those that stay": {
			reason: "only what would be deleted counts",
			limit:  2,
			keep:   func(child *kube.Object) bool { return child.Name == "b" },
			want:   []string{"DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"some are wanted": {
			reason: "they stay",
			keep:   func(child *kube.Object) bool { return child.Kind.Kind != "Service" },
			want:   []string{"DELETE services/b"},
		},
		"annotation gone": {
			reason: "the owner's other controllers have children with such a reference too",
			change: func(t *testing.T, children []*unstructured.Unstructured) {
				t.Helper()
				edit(t, children[0], func(found map[string]any) { unstructured.RemoveNestedField(found, "metadata", "annotations") })
			},
			want: []string{"DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"owner reference gone": {
			reason: "who orphans a child wants to keep it",
			change: func(t *testing.T, children []*unstructured.Unstructured) {
				t.Helper()
				edit(t, children[0], func(found map[string]any) { unstructured.RemoveNestedField(found, "metadata", "ownerReferences") })
			},
			want: []string{"DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"other owner by that name": {
			reason: "names come again, UIDs do not",
			change: func(t *testing.T, children []*unstructured.Unstructured) {
				t.Helper()
				edit(t, children[0], func(found map[string]any) {
					references, _, _ := unstructured.NestedSlice(found, "metadata", "ownerReferences")
					references[0].(map[string]any)["uid"] = "another"
					set(t, found, references, "metadata", "ownerReferences")
				})
			},
			want: []string{"DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
		"going already": {
			reason: "once is enough",
			change: func(t *testing.T, children []*unstructured.Unstructured) {
				t.Helper()
				edit(t, children[0], func(found map[string]any) { set(t, found, []any{"example.com/hold"}, "metadata", "finalizers") })
				if err := api.Delete(t.Context(), children[0].DeepCopy()); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"DELETE configmaps/a", "DELETE serviceaccounts/c"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{MaxPrune: tt.limit})
			children := bench.family(t)
			if tt.change != nil {
				tt.change(t, children)
			}
			observed := observeAll(t, children)
			if tt.keep == nil {
				tt.keep = keepNone
			}
			changes, err := bench.Prune(t.Context(), bench.owner, observed, tt.keep)
			limit, ok := errors.AsType[*PruneLimitError](err)
			if diff := cmp.Diff(tt.err, limit); diff != "" || ok != (err != nil) {
				t.Errorf("%s: got error %v; -want +got:\n%s", tt.reason, err, diff)
			}
			if diff := cmp.Diff(tt.want, bench.requests.take()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			for _, change := range changes {
				found, err := shown.Get(t.Context(), change.ID)
				if change.Action != Deleted || found != nil || err != nil {
					t.Errorf("%s is %s, and reading it gives %v, %v", change.ID, change.Action, found, err)
				}
			}
		})
	}
}

// TestPruneBehind prunes what is not as it was observed.
func TestPruneBehind(t *testing.T) {
	bench := newBench(t, Options{})
	children := bench.family(t)
	observed := observeAll(t, children)
	edit(t, children[0], func(found map[string]any) { set(t, found, "theirs", "metadata", "labels", "mine") })
	if err := api.Delete(t.Context(), children[1].DeepCopy()); err != nil {
		t.Fatal(err)
	}
	replaced := children[2]
	if err := api.Delete(t.Context(), replaced.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	create(t, bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`))

	changes, err := bench.Prune(t.Context(), bench.owner, observed, keepNone)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Action{}
	for _, change := range changes {
		got[change.ID.Kind] = change.Action
		if change.Err != nil && !apierrors.IsConflict(change.Err) {
			t.Errorf("%s: got %v, want a conflict", change.ID, change.Err)
		}
	}
	want := map[string]Action{
		"Service":        Failed,  // changed: somebody may have taken it for their own
		"ServiceAccount": Deleted, // gone, as it should be
		"ConfigMap":      Failed,  // another one
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	live(t, children[0])
	live(t, replaced)
}
