package apply

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// applyOneOf applies a copy of an object, and says what was done.
func (b *bench) applyOneOf(t *testing.T, object *unstructured.Unstructured) Action {
	t.Helper()
	changes := b.Apply(t.Context(), b.owner, []*unstructured.Unstructured{object.DeepCopy()})
	if err := changes[0].Err; err != nil {
		t.Fatal(err)
	}
	return changes[0].Action
}

const settings = `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {a: b}}, data: {a: "1", b: "2"}}`

// TestApplyAgain applies a child, lets somebody do something to it, and applies what may be something else.
func TestApplyAgain(t *testing.T) {
	data := func(values map[string]any) map[string]any {
		return map[string]any{"labels": map[string]any{"a": "b"}, "data": values}
	}
	tests := map[string]struct {
		reason  string
		edit    func(t *testing.T, found map[string]any)
		desired string // the same as before if it is empty
		want    Action
		live    map[string]any
	}{
		"nothing happened": {
			reason: "what is right costs nothing",
			want:   Unchanged,
			live:   data(map[string]any{"a": "1", "b": "2"}),
		},
		"value edited": {
			reason: "our fields are put back",
			edit:   func(t *testing.T, found map[string]any) { set(t, found, "9", "data", "a") },
			want:   Applied,
			live:   data(map[string]any{"a": "1", "b": "2"}),
		},
		"value removed": {
			reason: "our fields are put back",
			edit:   func(_ *testing.T, found map[string]any) { unstructured.RemoveNestedField(found, "data", "a") },
			want:   Applied,
			live:   data(map[string]any{"a": "1", "b": "2"}),
		},
		"all of it edited": {
			reason: "our entry in the managedFields may go with its last field",
			edit: func(t *testing.T, found map[string]any) {
				set(t, found, map[string]any{"a": "8", "b": "9"}, "data")
				unstructured.RemoveNestedField(found, "metadata", "labels")
			},
			want: Applied,
			live: data(map[string]any{"a": "1", "b": "2"}),
		},
		"value added": {
			reason: "what we do not say anything of is others' to have",
			edit:   func(t *testing.T, found map[string]any) { set(t, found, "9", "data", "c") },
			want:   Unchanged,
			live:   data(map[string]any{"a": "1", "b": "2", "c": "9"}),
		},
		"another value wanted": {
			reason:  "the module has changed its mind",
			desired: `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {a: b}}, data: {a: "3", b: "2"}}`,
			want:    Applied,
			live:    data(map[string]any{"a": "3", "b": "2"}),
		},
		"value not wanted any more": {
			reason:  "what we have set and do not want goes",
			desired: `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {a: b}}, data: {a: "1"}}`,
			want:    Applied,
			live:    data(map[string]any{"a": "1"}),
		},
		"hash edited": {
			reason: "it is a part of what is applied",
			edit: func(t *testing.T, found map[string]any) {
				set(t, found, "none", "metadata", "annotations", AnnotationApplied)
			},
			want: Applied,
			live: data(map[string]any{"a": "1", "b": "2"}),
		},
		"owner reference removed": {
			reason: "the annotation still proves that it is ours",
			edit: func(_ *testing.T, found map[string]any) {
				unstructured.RemoveNestedField(found, "metadata", "ownerReferences")
			},
			want: Applied,
			live: data(map[string]any{"a": "1", "b": "2"}),
		},
		"annotations removed": {
			reason: "the owner reference and our entry in the managedFields still prove that it is ours",
			edit: func(_ *testing.T, found map[string]any) {
				unstructured.RemoveNestedField(found, "metadata", "annotations")
			},
			want: Applied,
			live: data(map[string]any{"a": "1", "b": "2"}),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			first := bench.object(t, settings)
			if got := bench.applyOneOf(t, first); got != Created {
				t.Fatalf("got %s, want %s", got, Created)
			}
			if diff := cmp.Diff([]string{"PATCH configmaps/settings"}, bench.requests.take()); diff != "" {
				t.Errorf("one request creates: -want +got:\n%s", diff)
			}
			if tt.edit != nil {
				edit(t, first, func(found map[string]any) { tt.edit(t, found) })
			}
			second := first
			if tt.desired != "" {
				second = bench.object(t, tt.desired)
			}
			if got := bench.applyOneOf(t, second); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.reason, got, tt.want)
			}
			wantRequests := map[Action][]string{Applied: {"PATCH configmaps/settings"}}[tt.want]
			if diff := cmp.Diff(wantRequests, bench.requests.take()); diff != "" {
				t.Errorf("requests: -want +got:\n%s", diff)
			}
			found := live(t, first)
			labels, _, _ := unstructured.NestedMap(found.Object, "metadata", "labels")
			if diff := cmp.Diff(tt.live, map[string]any{"labels": labels, "data": found.Object["data"]}); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if !bench.owner.Owns(observe(t, first), KindOptions{}) {
				t.Errorf("it is not proven to be ours: %v", found.Object["metadata"])
			}
		})
	}
}

// TestApplyTells says what a write tells its caller: the object with the version that the cache will show.
func TestApplyTells(t *testing.T) {
	bench := newBench(t, Options{})
	changes := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, settings)})
	found := observe(t, bench.object(t, settings))
	want := []Change{{ID: found.ID(), Action: Created, Object: found}}
	if diff := cmp.Diff(want, changes, exported); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestApplyDoesNotStop applies three children of which one cannot be.
func TestApplyDoesNotStop(t *testing.T) {
	bench := newBench(t, Options{})
	changes := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{
		bench.object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: -1}}`),
		bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: z}, data: {a: 1}}`),
		bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}`),
	})
	got := map[string]Action{}
	for _, change := range changes {
		got[change.ID.Name] = change.Action
		if (change.Err != nil) != (change.Action == Failed) {
			t.Errorf("%s: %s with error %v", change.ID, change.Action, change.Err)
		}
	}
	if diff := cmp.Diff(map[string]Action{"z": Failed, "b": Created, "a": Failed}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantRequests := []string{"PATCH configmaps/z", "PATCH configmaps/b", "PATCH deployments/a"}
	if diff := cmp.Diff(wantRequests, bench.requests.take()); diff != "" {
		t.Errorf("config comes first, and within a kind the given order stays: -want +got:\n%s", diff)
	}
}

// TestApplyExisting meets objects that are there already, and that nobody has made for us.
func TestApplyExisting(t *testing.T) {
	controlledBy := func(name string) []metav1.OwnerReference {
		yes := true
		return []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: name, UID: "another", Controller: &yes}}
	}
	tests := map[string]struct {
		reason string
		adopt  bool
		change func(b *bench, existing *unstructured.Unstructured)
		want   Action
		holder string
	}{
		"nobody's": {
			reason: "somebody has made it by hand and may want to keep it",
			want:   Failed, holder: "nobody",
		},
		"nobody's, to adopt": {
			reason: "the config says that such ones are to be taken over",
			adopt:  true, want: Applied,
		},
		"copy of a child of ours": {
			reason: "the annotation names another object, so it proves nothing",
			change: func(b *bench, existing *unstructured.Unstructured) {
				original := existing.DeepCopy()
				original.SetName("original")
				existing.SetAnnotations(map[string]string{AnnotationOwnedBy: b.owner.claim(idOf(original))})
			},
			want: Failed, holder: "nobody",
		},
		"restored from a backup": {
			reason: "the annotation names the object and the owner, and so does the owner reference",
			change: func(b *bench, existing *unstructured.Unstructured) {
				if _, err := b.owner.stamp(idOf(existing), existing, KindOptions{}); err != nil {
					panic(err)
				}
			},
			want: Applied,
		},
		"restored from a backup without owner references": {
			reason: "somebody may have made it for themselves, with a copy of the annotation",
			change: func(b *bench, existing *unstructured.Unstructured) {
				existing.SetAnnotations(map[string]string{AnnotationOwnedBy: b.owner.claim(idOf(existing))})
			},
			want: Failed, holder: "nobody",
		},
		"restored from a backup without owner references, to adopt": {
			reason: "it is as good as nobody's",
			adopt:  true,
			change: func(b *bench, existing *unstructured.Unstructured) {
				existing.SetAnnotations(map[string]string{AnnotationOwnedBy: b.owner.claim(idOf(existing))})
			},
			want: Applied,
		},
		"controlled by another, to adopt": {
			reason: "two controllers of one object would fight without end",
			adopt:  true,
			change: func(_ *bench, existing *unstructured.Unstructured) {
				existing.SetOwnerReferences(controlledBy("other"))
			},
			want: Failed, holder: "Namespace other, its controller",
		},
		"controlled by another, with our annotation": {
			reason: "the annotation was copied, or the other has taken it over since",
			change: func(b *bench, existing *unstructured.Unstructured) {
				existing.SetAnnotations(map[string]string{AnnotationOwnedBy: b.owner.claim(idOf(existing))})
				existing.SetOwnerReferences(controlledBy("other"))
			},
			want: Failed, holder: "Namespace other, its controller",
		},
		"child of an earlier owner by that name": {
			reason: "the garbage collector deletes it, and what is made then must not be deleted with it",
			change: func(b *bench, existing *unstructured.Unstructured) {
				existing.SetOwnerReferences(controlledBy(b.owner.Name))
			},
			want: Failed, holder: "an earlier Namespace",
		},
		"child that another controller of ours has for the owner": {
			reason: "they share the owner, and must not see each other's children",
			change: func(b *bench, existing *unstructured.Unstructured) {
				other := b.owner
				other.Controller = "other"
				if _, err := other.stamp(idOf(existing), existing, KindOptions{}); err != nil {
					panic(err)
				}
			},
			want: Failed, holder: "controller other",
		},
		"child that a built-in controller has for the owner": {
			reason: "an owner may be a built-in kind, with children of its own",
			change: func(b *bench, existing *unstructured.Unstructured) {
				if _, err := b.owner.stamp(idOf(existing), existing, KindOptions{}); err != nil {
					panic(err)
				}
				existing.SetAnnotations(nil)
			},
			want: Failed, holder: "another controller of the same owner",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{Adopt: tt.adopt})
			existing := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: theirs, c: theirs}}`)
			if tt.change != nil {
				tt.change(bench, existing)
			}
			create(t, existing)
			change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, settings)})[0]
			if change.Action != tt.want {
				t.Fatalf("%s: got %s with error %v, want %s", tt.reason, change.Action, change.Err, tt.want)
			}
			var refused *RefusedError
			if holder := tt.holder; holder != "" {
				if holder == "an earlier Namespace" {
					holder += " " + bench.namespace
				}
				if !errors.As(change.Err, &refused) || refused.Holder != holder {
					t.Errorf("%s: got %v, want a refusal because of %q", tt.reason, change.Err, holder)
				}
				if diff := cmp.Diff([]string(nil), bench.requests.take()); diff != "" {
					t.Errorf("nothing may be written: -want +got:\n%s", diff)
				}
				return
			}
			want := map[string]any{"a": "1", "b": "2", "c": "theirs"}
			if diff := cmp.Diff(want, live(t, existing).Object["data"]); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if got := bench.applyOneOf(t, bench.object(t, settings)); got != Unchanged {
				t.Errorf("it is ours from then on: got %s, want %s", got, Unchanged)
			}
		})
	}
}

// TestApplyWaits meets a child of ours that is being deleted.
func TestApplyWaits(t *testing.T) {
	bench := newBench(t, Options{})
	child := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, finalizers: [example.com/hold]}}`)
	bench.applyOneOf(t, child)
	if err := api.Delete(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	bench.requests.take()
	if got := bench.applyOneOf(t, child); got != Waiting {
		t.Errorf("got %s, want %s: what is applied now goes with the object", got, Waiting)
	}
	if diff := cmp.Diff([]string(nil), bench.requests.take()); diff != "" {
		t.Errorf("requests: -want +got:\n%s", diff)
	}
}

// behind is a cache that lags: it shows an object as it was, or that there is none.
type behind struct{ object *kube.Object }

func (b behind) Get(context.Context, kube.ID) (*kube.Object, error) { return b.object, nil }

// TestApplyBehind applies what a lagging cache makes look right.
func TestApplyBehind(t *testing.T) {
	tests := map[string]struct {
		reason string
		cached bool // the cache shows our child, as it was at first
		change func(t *testing.T, child *unstructured.Unstructured)
		want   func(error) bool
	}{
		"taken since": {
			reason: "an apply would take over what the cache does not show",
			change: func(t *testing.T, child *unstructured.Unstructured) { t.Helper(); create(t, child.DeepCopy()) },
			want:   apierrors.IsConflict,
		},
		"gone since": {
			reason: "an apply would make it anew on the word of an old answer",
			cached: true,
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				if err := api.Delete(t.Context(), child); err != nil {
					t.Fatal(err)
				}
			},
			want: apierrors.IsConflict,
		},
		"replaced since": {
			reason: "what has the name now may be anybody's",
			cached: true,
			change: func(t *testing.T, child *unstructured.Unstructured) {
				t.Helper()
				if err := api.Delete(t.Context(), child); err != nil {
					t.Fatal(err)
				}
				create(t, child.DeepCopy())
			},
			want: apierrors.IsInvalid,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{Adopt: true})
			child := bench.object(t, settings)
			cache := behind{}
			if tt.cached {
				bench.applyOneOf(t, child)
				cache.object = observe(t, child)
			}
			tt.change(t, child)
			bench.reader = cache
			desired := bench.object(t, settings)
			set(t, desired.Object, "9", "data", "a")
			change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{desired})[0]
			if !tt.want(change.Err) {
				t.Errorf("%s: got %s with error %v", tt.reason, change.Action, change.Err)
			}
		})
	}
}

// TestSecretStringData holds us to the values of a Secret that were not written as they are kept.
func TestSecretStringData(t *testing.T) {
	const login = `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: Opaque, data: {user: YWRtaW4=}, stringData: {token: secret}}`
	tests := map[string]struct {
		reason  string
		edit    func(t *testing.T, found map[string]any)
		desired string
		want    map[string]any
	}{
		"value edited": {
			reason:  "it is repaired as any other",
			edit:    func(t *testing.T, found map[string]any) { set(t, found, "b3RoZXI=", "data", "token") },
			desired: login,
			want:    map[string]any{"user": "YWRtaW4=", "token": "c2VjcmV0"},
		},
		"value not wanted any more": {
			reason:  "it goes, as any other",
			desired: `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: Opaque, data: {user: YWRtaW4=}}`,
			want:    map[string]any{"user": "YWRtaW4="},
		},
		"value in both": {
			reason:  "stringData wins, as the API server has it",
			desired: `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: Opaque, data: {token: b2xk}, stringData: {token: secret}}`,
			want:    map[string]any{"token": "c2VjcmV0"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			child := bench.object(t, login)
			bench.applyOneOf(t, child)
			if tt.edit != nil {
				edit(t, child, func(found map[string]any) { tt.edit(t, found) })
			}
			if got := bench.applyOneOf(t, bench.object(t, tt.desired)); got != Applied {
				t.Errorf("%s: got %s, want %s", tt.reason, got, Applied)
			}
			if diff := cmp.Diff(any(tt.want), live(t, child).Object["data"]); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestApplyEmptied empties what has something of ours. Of an object in a custom resource the API server would make null,
// and refuse it.
func TestApplyEmptied(t *testing.T) {
	type step struct {
		action Action
		spec   map[string]any
	}
	tests := map[string]struct {
		reason      string
		full, empty string
		steps       []step
	}{
		"lists": {
			reason: "those whose items are owned one by one go with the last item, and nobody owns them",
			full:   "{tags: [a], plain: [a], ports: [{port: 1}]}",
			empty:  "{tags: [], plain: [], ports: []}",
			steps: []step{
				{Applied, map[string]any{"plain": []any{}}},
				{Unchanged, map[string]any{"plain": []any{}}},
			},
		},
		"an object": {
			reason: "it goes, and then it can be said to be empty",
			full:   "{size: 1}",
			empty:  "{}",
			steps:  []step{{Applied, nil}, {Applied, map[string]any{}}, {Unchanged, map[string]any{}}},
		},
		"all lists of an object": {
			reason: "the object goes with them",
			full:   "{tags: [a], ports: [{port: 1}]}",
			empty:  "{tags: [], ports: []}",
			steps:  []step{{Applied, nil}, {Unchanged, nil}},
		},
		"never full": {
			reason: "empty lists stay as they were made",
			full:   "{tags: [], ports: []}",
			empty:  "{tags: [], ports: []}",
			steps:  []step{{Unchanged, map[string]any{"tags": []any{}, "ports": []any{}}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			bench.applyOneOf(t, bench.object(t, `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: `+tt.full+`}`))
			emptied := bench.object(t, `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: `+tt.empty+`}`)
			for i, step := range tt.steps {
				if got := bench.applyOneOf(t, emptied); got != step.action {
					t.Errorf("%s: %d: got %s, want %s", tt.reason, i, got, step.action)
				}
				spec, _ := live(t, emptied).Object["spec"].(map[string]any)
				if diff := cmp.Diff(step.spec, spec); diff != "" {
					t.Errorf("%s: %d: -want +got:\n%s", tt.reason, i, diff)
				}
			}
		})
	}
}
