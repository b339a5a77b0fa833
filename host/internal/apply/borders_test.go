package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// TestReference says which children have an owner reference: no other may, and no other is deleted with its owner.
func TestReference(t *testing.T) {
	widgets := schema.GroupVersionKind{Group: "apply.test", Version: "v1", Kind: "Widget"}
	inN := Owner{"c", widgets, types.NamespacedName{Namespace: "n", Name: "w"}, "u"}
	inNone := Owner{"c", widgets, types.NamespacedName{Name: "w"}, "u"}
	reference := func(controller *bool) *metav1.OwnerReference {
		return &metav1.OwnerReference{APIVersion: "apply.test/v1", Kind: "Widget", Name: "w", UID: "u", Controller: controller}
	}
	tests := map[string]struct {
		reason    string
		owner     Owner
		namespace string
		options   KindOptions
		want      *metav1.OwnerReference
	}{
		"same namespace":                {"that is the usual case", inN, "n", KindOptions{}, reference(new(true))},
		"other namespace":               {"the garbage collector would take the owner for gone, and delete the child", inN, "m", KindOptions{}, nil},
		"cluster-scoped":                {"the garbage collector would take the owner for gone, and delete the child", inN, "", KindOptions{}, nil},
		"of a cluster-scoped owner":     {"it may own whatever there is", inNone, "n", KindOptions{}, reference(new(true))},
		"cluster-scoped of such a one":  {"it may own whatever there is", inNone, "", KindOptions{}, reference(new(true))},
		"to be left behind":             {"it must not go with its owner", inN, "n", KindOptions{Orphan: true}, nil},
		"not as its controller":         {"somebody else may be that", inN, "n", KindOptions{NotController: true}, reference(nil)},
		"neither, in another namespace": {"none is none", inN, "m", KindOptions{NotController: true}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			child := kube.ID{GroupVersionKind: configMaps, NamespacedName: types.NamespacedName{Namespace: tt.namespace, Name: "a"}}
			if diff := cmp.Diff(tt.want, tt.owner.reference(child, tt.options)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// abroad returns a bench whose owner is a Widget in its namespace.
func abroad(t *testing.T, options Options) *bench {
	t.Helper()
	b := newBench(t, options)
	widget := b.object(t, `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}}`)
	create(t, widget)
	b.owner = OwnerOf("tester", observe(t, widget))
	return b
}

// TestKeptOtherwise applies a child that has an owner reference as its kind is kept, then keeps its kind in another way.
func TestKeptOtherwise(t *testing.T) {
	tests := map[string]struct {
		reason        string
		before, after KindOptions
		want          []metav1.OwnerReference
	}{
		"no more as its controller": {"the reference says so", KindOptions{}, KindOptions{NotController: true}, []metav1.OwnerReference{{}}},
		"as its controller":         {"the reference says so", KindOptions{NotController: true}, KindOptions{}, []metav1.OwnerReference{{Controller: new(true)}}},
		"to be left behind":         {"the reference goes", KindOptions{}, KindOptions{Orphan: true}, nil},
		"no more to be left behind": {"the reference comes", KindOptions{Orphan: true}, KindOptions{}, []metav1.OwnerReference{{Controller: new(true)}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := abroad(t, kept(configMaps, tt.before))
			if got := bench.applyOneOf(t, bench.object(t, settings)); got != Created {
				t.Fatalf("got %s, want %s", got, Created)
			}
			if got := bench.applyOneOf(t, bench.object(t, settings)); got != Unchanged {
				t.Errorf("what is right costs nothing: got %s", got)
			}
			bench.options.Kinds[configMaps] = tt.after
			if got := bench.applyOneOf(t, bench.object(t, settings)); got != Applied {
				t.Errorf("%s: got %s, want %s", tt.reason, got, Applied)
			}
			for i := range tt.want {
				tt.want[i].APIVersion, tt.want[i].Kind, tt.want[i].Name, tt.want[i].UID = "apply.test/v1", "Widget", "w", bench.owner.UID
			}
			if diff := cmp.Diff(tt.want, live(t, bench.object(t, settings)).GetOwnerReferences()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if !bench.owner.Owns(observe(t, bench.object(t, settings)), tt.after) {
				t.Error("it is not proven to be ours")
			}
			if got := bench.applyOneOf(t, bench.object(t, settings)); got != Unchanged {
				t.Errorf("what is right costs nothing: got %s", got)
			}
		})
	}
}

// TestLetGo prunes children that are to be left behind.
func TestLetGo(t *testing.T) {
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "another", BlockOwnerDeletion: new(true)}
	tests := map[string]struct {
		reason string
		// before is how the child was kept when it was applied.
		before KindOptions
		owners []metav1.OwnerReference
	}{
		"kept so from the beginning":         {"there is no reference to take away", KindOptions{Orphan: true}, nil},
		"with a reference":                   {"it would go with its owner", KindOptions{}, nil},
		"with a reference to another, too":   {"the other one's stays, with all its fields", KindOptions{}, []metav1.OwnerReference{other}},
		"with a reference to another, alone": {"the other one's stays", KindOptions{Orphan: true}, []metav1.OwnerReference{other}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := abroad(t, kept(configMaps, tt.before))
			bench.options.MaxPrune = 1
			first := bench.object(t, settings)
			second := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: second, annotations: {theirs: "1"}}}`)
			for _, child := range []*unstructured.Unstructured{first, second} {
				bench.applyOneOf(t, child)
				edit(t, child, func(found map[string]any) {
					object := &unstructured.Unstructured{Object: found}
					object.SetOwnerReferences(append(object.GetOwnerReferences(), tt.owners...))
				})
			}
			bench.options.Kinds[configMaps] = KindOptions{Orphan: true}
			bench.requests.take()
			changes, err := bench.Prune(t.Context(), bench.owner, observeAll(t, []*unstructured.Unstructured{first, second}), keepNone)
			if err != nil {
				t.Fatalf("nothing is deleted, so there is nothing to limit: %v", err)
			}
			if diff := cmp.Diff([]string{"PATCH configmaps/second", "PATCH configmaps/settings"}, bench.requests.take()); diff != "" {
				t.Errorf("requests: -want +got:\n%s", diff)
			}
			for _, change := range changes {
				found := live(t, &unstructured.Unstructured{Object: change.Object.Reference().Object})
				if change.Action != LetGo || change.Err != nil {
					t.Errorf("%s: got %s, %v", change.ID, change.Action, change.Err)
				}
				if diff := cmp.Diff(observe(t, found), change.Object, exported); diff != "" {
					t.Errorf("what it returns is what is there: -want +got:\n%s", diff)
				}
				wantAnnotations := map[string]map[string]string{"second": {"theirs": "1"}}[change.ID.Name]
				if diff := cmp.Diff(wantAnnotations, found.GetAnnotations()); diff != "" {
					t.Errorf("annotations: -want +got:\n%s", diff)
				}
				if diff := cmp.Diff(tt.owners, found.GetOwnerReferences()); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
				}
			}
			if diff := cmp.Diff(any(map[string]any{"a": "1", "b": "2"}), live(t, first).Object["data"]); diff != "" {
				t.Errorf("it stays as it was: -want +got:\n%s", diff)
			}
			change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, settings)})[0]
			if change.Action != Failed {
				t.Errorf("it is nobody's from then on: got %s", change.Action)
			}
		})
	}
}

// TestLetGoBehind lets go of what is not as it was observed.
func TestLetGoBehind(t *testing.T) {
	bench := abroad(t, kept(configMaps, KindOptions{}))
	child := bench.object(t, settings)
	bench.applyOneOf(t, child)
	observed := observeAll(t, []*unstructured.Unstructured{child})
	edit(t, child, func(found map[string]any) { set(t, found, "theirs", "metadata", "labels", "mine") })
	before := live(t, child)
	bench.options.Kinds[configMaps] = KindOptions{Orphan: true}
	changes, err := bench.Prune(t.Context(), bench.owner, observed, keepNone)
	if err != nil || len(changes) != 1 || changes[0].Action != Failed {
		t.Errorf("got %v, %v; want one failure", changes, err)
	}
	if diff := cmp.Diff(before, live(t, child)); diff != "" {
		t.Errorf("nothing is changed: -want +got:\n%s", diff)
	}
}

// TestRemove deletes what would stay when its owner goes, and nothing else.
func TestRemove(t *testing.T) {
	tests := map[string]struct {
		reason  string
		options KindOptions
		// here has the child in the owner's namespace, else it is in another one.
		here   bool
		change func(t *testing.T, child *unstructured.Unstructured)
		left   int
		want   []string
	}{
		"in another namespace": {
			reason: "nobody else deletes it", left: 1, want: []string{"DELETE configmaps/settings"},
		},
		"in the owner's namespace": {
			reason: "the garbage collector deletes it", here: true,
		},
		"to be left behind": {
			reason: "that is what was asked for", options: KindOptions{Orphan: true},
		},
		"to be left behind, in the owner's namespace": {
			reason: "that is what was asked for", options: KindOptions{Orphan: true}, here: true,
		},
		"going already": {
			reason: "once is enough, and yet it is still there", left: 1,
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				edit(t, child, func(found map[string]any) { set(t, found, []any{"example.com/hold"}, "metadata", "finalizers") })
				if err := api.Delete(t.Context(), child.DeepCopy()); err != nil {
					t.Fatal(err)
				}
			},
		},
		"controlled by another": {
			reason: "somebody has taken it",
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				edit(t, child, func(found map[string]any) {
					(&unstructured.Unstructured{Object: found}).SetOwnerReferences([]metav1.OwnerReference{
						{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "another", Controller: new(true)},
					})
				})
			},
		},
		"without our annotation": {
			reason: "somebody wants to keep it",
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				edit(t, child, func(found map[string]any) { unstructured.RemoveNestedField(found, "metadata", "annotations") })
			},
		},
		"with the annotation of another": {
			reason: "it was copied from there",
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				edit(t, child, func(found map[string]any) {
					claim := (&unstructured.Unstructured{Object: found}).GetAnnotations()[AnnotationOwnedBy]
					set(t, found, claim+"-2", "metadata", "annotations", AnnotationOwnedBy)
				})
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := abroad(t, kept(configMaps, tt.options))
			if !tt.here {
				other := object(t, "{apiVersion: v1, kind: Namespace, metadata: {generateName: apply-}}")
				create(t, other)
				bench.namespace = other.GetName()
			}
			child := bench.object(t, settings)
			bench.applyOneOf(t, child)
			if tt.change != nil {
				tt.change(t, child)
			}
			bench.requests.take()
			left, changes := bench.Remove(t.Context(), bench.owner, observeAll(t, []*unstructured.Unstructured{child}))
			if left != tt.left || len(changes) != len(tt.want) {
				t.Errorf("%s: got %d left and changes %v, want %d left", tt.reason, left, changes, tt.left)
			}
			if diff := cmp.Diff(tt.want, bench.requests.take()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestHoldAndRelease puts the finalizer on and takes it off, beside others.
func TestHoldAndRelease(t *testing.T) {
	bench := abroad(t, Options{})
	widget := bench.object(t, `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}}`)
	edit(t, widget, func(found map[string]any) { set(t, found, []any{"example.com/theirs"}, "metadata", "finalizers") })
	steps := []struct {
		reason string
		do     func(object *kube.Object) (*kube.Object, error)
		writes bool
		want   []string
	}{
		{"nothing is to be taken off", func(o *kube.Object) (*kube.Object, error) { return bench.Release(t.Context(), o, "tester") }, false, []string{"example.com/theirs"}},
		{"it comes after others", func(o *kube.Object) (*kube.Object, error) { return bench.Hold(t.Context(), o, "tester") }, true, []string{"example.com/theirs", "wasmloop.dev/tester"}},
		{"once is enough", func(o *kube.Object) (*kube.Object, error) { return bench.Hold(t.Context(), o, "tester") }, false, []string{"example.com/theirs", "wasmloop.dev/tester"}},
		{"each controller has its own", func(o *kube.Object) (*kube.Object, error) { return bench.Hold(t.Context(), o, "second") }, true, []string{"example.com/theirs", "wasmloop.dev/tester", "wasmloop.dev/second"}},
		{"and takes off its own alone", func(o *kube.Object) (*kube.Object, error) { return bench.Release(t.Context(), o, "tester") }, true, []string{"example.com/theirs", "wasmloop.dev/second"}},
	}
	for _, step := range steps {
		written, err := step.do(observe(t, widget))
		if err != nil {
			t.Fatal(err)
		}
		found := observe(t, widget)
		if diff := cmp.Diff(step.want, found.Finalizers); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step.reason, diff)
		}
		if !step.writes {
			found = nil
		}
		if diff := cmp.Diff(found, written, exported); diff != "" {
			t.Errorf("%s: what it returns is what it wrote: -want +got:\n%s", step.reason, diff)
		}
	}
	seen := observe(t, widget)
	edit(t, widget, func(found map[string]any) { set(t, found, []any{"example.com/new"}, "metadata", "finalizers") })
	if _, err := bench.Release(t.Context(), seen, "second"); !apierrors.IsConflict(err) {
		t.Errorf("the list is not the one that was seen: got %v, want a conflict", err)
	}
}
