package apply

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

var (
	configMaps = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secrets    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
)

// kept returns options that keep the children of a kind in this way.
func kept(kind schema.GroupVersionKind, options KindOptions) Options {
	return Options{Kinds: map[schema.GroupVersionKind]KindOptions{kind: options}}
}

// A Secret's type is immutable. Of the last type the API server asks for more than there is.
const (
	opaque    = `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: Opaque, data: {password: YQ==}}`
	basic     = `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: kubernetes.io/basic-auth, data: {password: YQ==}}`
	otherPass = `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: Opaque, data: {password: Yg==}}`
	invalid   = `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: kubernetes.io/tls, data: {password: YQ==}}`
)

func TestUpdateStrategies(t *testing.T) {
	const patch, try, remove = "PATCH secrets/login", "POST secrets", "DELETE secrets/login"
	type step struct {
		desired string
		want    Action
		made    []string
	}
	tests := map[string]struct {
		reason   string
		strategy Strategy
		steps    []step
	}{
		"in place": {
			reason:   "an immutable field is for the module to leave alone",
			strategy: InPlace,
			steps:    []step{{otherPass, Applied, []string{patch}}, {basic, Failed, []string{patch}}},
		},
		"recreate, nothing immutable": {
			reason:   "what can be changed is changed",
			strategy: Recreate,
			steps:    []step{{otherPass, Applied, []string{patch}}},
		},
		"recreate": {
			reason:   "what cannot be changed is deleted, when it is known that it can be made anew",
			strategy: Recreate,
			steps:    []step{{basic, Deleted, []string{patch, try, remove}}, {basic, Created, []string{patch}}, {basic, Unchanged, nil}},
		},
		"recreate what would be refused": {
			reason:   "then there would be none",
			strategy: Recreate,
			steps:    []step{{invalid, Failed, []string{patch, try}}, {invalid, Failed, []string{patch, try}}, {opaque, Unchanged, nil}},
		},
		"on delete": {
			reason:   "whoever deletes it says when it changes",
			strategy: OnDelete,
			steps:    []step{{otherPass, Unchanged, nil}, {basic, Unchanged, nil}, {opaque, Unchanged, nil}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, kept(secrets, KindOptions{Strategy: tt.strategy}))
			bench.applyOneOf(t, bench.object(t, opaque))
			bench.requests.take()
			for i, step := range tt.steps {
				change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, step.desired)})[0]
				if change.Action != step.want {
					t.Errorf("%s: %d: got %s with error %v, want %s", tt.reason, i, change.Action, change.Err, step.want)
				}
				if change.Err != nil && !apierrors.IsInvalid(change.Err) {
					t.Errorf("%s: %d: got error %v, want what the API server says of the change", tt.reason, i, change.Err)
				}
				if diff := cmp.Diff(step.made, bench.requests.take()); diff != "" {
					t.Errorf("%s: %d: -want +got:\n%s", tt.reason, i, diff)
				}
			}
		})
	}
}

// TestRecreateTells says what a deletion tells its caller: the object that is to be seen going.
func TestRecreateTells(t *testing.T) {
	bench := newBench(t, kept(secrets, KindOptions{Strategy: Recreate}))
	bench.applyOneOf(t, bench.object(t, opaque))
	there := observe(t, bench.object(t, opaque))
	got := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, basic)})
	if diff := cmp.Diff([]Change{{ID: there.ID(), Action: Deleted, Object: there}}, got, exported); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if found := observe(t, bench.object(t, basic)); found != nil {
		t.Errorf("it is made anew when the cache shows that it is gone: found %v", found)
	}
}

// TestRecreateSparesWhatIsNotOurs has objects that an apply may change, and a deletion must not touch.
func TestRecreateSparesWhatIsNotOurs(t *testing.T) {
	tests := map[string]struct {
		reason string
		there  func(t *testing.T, b *bench)
	}{
		"somebody's, to adopt": {
			"to take it over is one thing, to destroy it another",
			func(t *testing.T, b *bench) { t.Helper(); create(t, b.object(t, opaque)) },
		},
		"ours, without our annotations": {
			"it is not proven to be ours",
			func(t *testing.T, b *bench) {
				t.Helper()
				b.applyOneOf(t, b.object(t, opaque))
				edit(t, b.object(t, opaque), func(found map[string]any) { unstructured.RemoveNestedField(found, "metadata", "annotations") })
			},
		},
		"ours, without our owner reference": {
			"who takes it away wants to keep the object",
			func(t *testing.T, b *bench) {
				t.Helper()
				b.applyOneOf(t, b.object(t, opaque))
				edit(t, b.object(t, opaque), func(found map[string]any) { unstructured.RemoveNestedField(found, "metadata", "ownerReferences") })
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			options := kept(secrets, KindOptions{Strategy: Recreate})
			options.Adopt = true
			bench := newBench(t, options)
			tt.there(t, bench)
			bench.requests.take()
			change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, basic)})[0]
			if change.Action != Failed || !apierrors.IsInvalid(change.Err) {
				t.Errorf("%s: got %s with error %v, want a refusal", tt.reason, change.Action, change.Err)
			}
			if diff := cmp.Diff([]string{"PATCH secrets/login"}, bench.requests.take()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestRecreateBehind has a cache that does not show who has the name now: the refusal is no reason to delete anything.
func TestRecreateBehind(t *testing.T) {
	bench := newBench(t, kept(secrets, KindOptions{Strategy: Recreate}))
	child := bench.object(t, opaque)
	bench.applyOneOf(t, child)
	bench.reader = behind{observe(t, child)}
	if err := api.Delete(t.Context(), child.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	create(t, bench.object(t, otherPass))
	bench.requests.take()
	change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, basic)})[0]
	if change.Action != Failed || !IsReplaced(change.Err) {
		t.Errorf("got %s with error %v, want that it was replaced", change.Action, change.Err)
	}
	if diff := cmp.Diff([]string{"PATCH secrets/login"}, bench.requests.take()); diff != "" {
		t.Errorf("requests: -want +got:\n%s", diff)
	}
	live(t, child)
}

// changed is a writer whose deletions come too late: somebody changes the object before.
type changed struct {
	Writer
	change func()
}

func (c changed) TryCreate(ctx context.Context, id kube.ID, body []byte, write kube.Write) error {
	err := c.Writer.TryCreate(ctx, id, body, write)
	c.change()
	return err
}

// TestRecreateIsConditional changes a child between the look at it and its deletion.
func TestRecreateIsConditional(t *testing.T) {
	bench := newBench(t, kept(secrets, KindOptions{Strategy: Recreate}))
	child := bench.object(t, opaque)
	bench.applyOneOf(t, child)
	bench.writer = changed{bench.writer, func() {
		edit(t, child, func(found map[string]any) { set(t, found, "theirs", "metadata", "labels", "keep") })
	}}
	change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, basic)})[0]
	if change.Action != Failed || !apierrors.IsConflict(change.Err) {
		t.Errorf("got %s with error %v, want a conflict", change.Action, change.Err)
	}
	live(t, child)
}

// TestRecreateDoesNotLoop has somebody who puts the old child back each time.
func TestRecreateDoesNotLoop(t *testing.T) {
	bench := newBench(t, kept(secrets, KindOptions{Strategy: Recreate}))
	id := kube.ID{GroupVersionKind: secrets, NamespacedName: types.NamespacedName{Namespace: bench.namespace, Name: "login"}}
	pass := func(d time.Duration) {
		if last, there := bench.recreated[id]; there {
			last.at = last.at.Add(-d)
			bench.recreated[id] = last
		}
	}
	steps := []struct {
		reason  string
		pass    time.Duration
		desired string
		deleted bool
	}{
		{"the first time it is tried", 0, basic, true},
		{"the same again would come to the same", 0, basic, false},
		{"not even after a while", 5 * recreatePause, basic, false},
		{"something else is worth a try", 0, `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: example.com/a}`, true},
		{"but not at once", 0, `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: example.com/b}`, false},
		{"nor after the time that was enough the first time", recreatePause, `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: example.com/b}`, false},
		{"but after twice that", recreatePause, `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: example.com/b}`, true},
		{"after the longest pause, the same is worth a try too", longestRecreatePause, `{apiVersion: v1, kind: Secret, metadata: {name: login}, type: example.com/b}`, true},
	}
	for _, step := range steps {
		if observe(t, bench.object(t, opaque)) == nil {
			bench.applyOneOf(t, bench.object(t, opaque))
		}
		pass(step.pass)
		change := bench.Apply(t.Context(), bench.owner, []*unstructured.Unstructured{bench.object(t, step.desired)})[0]
		if (change.Action == Deleted) != step.deleted {
			t.Errorf("%s: got %s with error %v", step.reason, change.Action, change.Err)
		}
		if _, refused := errors.AsType[*RecreateError](change.Err); refused == step.deleted || refused && !apierrors.IsInvalid(change.Err) {
			t.Errorf("%s: got error %v", step.reason, change.Err)
		}
	}
}

// TestRecreateForgets has many children, over a long time.
func TestRecreateForgets(t *testing.T) {
	a := New("tester", shown, nil, Options{})
	long := time.Now().Add(-3 * longestRecreatePause)
	old, other := kube.ID{GroupVersionKind: secrets}, kube.ID{GroupVersionKind: configMaps}
	a.recreated[old] = recreation{"h", long, 9}
	a.noteRecreated(other, "h")
	if _, there := a.recreated[old]; there || a.recreated[other].times != 1 {
		t.Errorf("what is long ago counts no more: got %v", a.recreated)
	}
	if got := (recreation{times: 50}).pause(); got != longestRecreatePause {
		t.Errorf("pauses have a bound: got %s", got)
	}
}

// TestOnDelete follows a child that is made anew only when somebody has deleted it.
func TestOnDelete(t *testing.T) {
	bench := newBench(t, kept(secrets, KindOptions{Strategy: OnDelete}))
	if got := bench.applyOneOf(t, bench.object(t, opaque)); got != Created {
		t.Fatalf("there was none: got %s, want %s", got, Created)
	}
	edit(t, bench.object(t, opaque), func(found map[string]any) { set(t, found, "OQ==", "data", "password") })
	if got := bench.applyOneOf(t, bench.object(t, basic)); got != Unchanged {
		t.Errorf("it is left as it is: got %s, want %s", got, Unchanged)
	}
	if err := api.Delete(t.Context(), bench.object(t, opaque)); err != nil {
		t.Fatal(err)
	}
	if got := bench.applyOneOf(t, bench.object(t, basic)); got != Created {
		t.Errorf("now it becomes what is wanted: got %s, want %s", got, Created)
	}
	if got := live(t, bench.object(t, basic)).Object["type"]; got != "kubernetes.io/basic-auth" {
		t.Errorf("type: got %v", got)
	}
}
