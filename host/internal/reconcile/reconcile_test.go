package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
)

// trap is an error as a module that traps makes it.
type trap struct{ terminal bool }

func (trap) Error() string    { return "it trapped" }
func (t trap) Terminal() bool { return t.terminal }

// TestNothingIsDoneOnErrors holds the Reconciler to its first promise: from an answer that is not understood as a whole,
// nothing is applied and nothing is pruned, and the object says why. Each case meets a child that no answer mentions, so
// that half an answer would prune it.
func TestNothingIsDoneOnErrors(t *testing.T) {
	child := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"}}`
	tests := map[string]struct {
		reason   string
		answer   string
		err      error
		event    string
		terminal bool
	}{
		"trap": {
			reason: "there is no answer",
			err:    trap{}, event: "Warning ModuleFailed on a: it trapped",
		},
		"trap that would come again": {
			reason: "nothing is gained by another try before something changes",
			err:    trap{terminal: true}, event: "Warning ModuleFailed on a: it trapped", terminal: true,
		},
		"error from the module": {
			reason: "what else it says is not to be used",
			answer: `{"error":{"message":"no idea"},"children":[]}`, event: "Warning ModuleFailed on a: module failed: no idea",
		},
		"terminal error from the module": {
			reason: "nothing is gained by another try before something changes",
			answer: `{"error":{"message":"no idea","terminal":true},"children":[]}`,
			event:  "Warning ModuleFailed on a: module failed: no idea", terminal: true,
		},
		"no JSON": {
			reason: "an answer is one JSON document",
			answer: `{"children":[`, event: "Warning InvalidResponse on a: invalid response from the module: children[0]: unexpected end at offset 13",
		},
		"unknown field": {
			reason: "it may be a misspelt one whose absence means much",
			answer: `{"children":[],"kep":[]}`, event: "Warning InvalidResponse on a: invalid response from the module: kep: unknown field",
		},
		"forbidden kind": {
			reason: "the config says what a module may make",
			answer: `{"children":[` + child + `,{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}]}`,
			event: `Warning InvalidResponse on a: invalid response from the module: children[1]: kind v1 Pod is not among what the ` +
				`controller owns ["v1 ConfigMap" "v1 Secret" "rbac.authorization.k8s.io/v1 ClusterRole"]: add it to owns in its config`,
		},
		"another version of a kind": {
			reason: "it would not be seen again in the version that is watched",
			answer: `{"children":[{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"new"}}]}`,
			event: `Warning InvalidResponse on a: invalid response from the module: children[0]: kind v2 ConfigMap is not among what the ` +
				`controller owns ["v1 ConfigMap" "v1 Secret" "rbac.authorization.k8s.io/v1 ClusterRole"]: add it to owns in its config`,
		},
		"keep of a forbidden kind": {
			reason: "there can be no such child, so something is mistaken",
			answer: `{"children":[],"keep":[{"apiVersion":"v1","kind":"Pod","name":"p"}]}`,
			event: `Warning InvalidResponse on a: invalid response from the module: keep[0]: kind v1 Pod is not among what the ` +
				`controller owns ["v1 ConfigMap" "v1 Secret" "rbac.authorization.k8s.io/v1 ClusterRole"]: add it to owns in its config`,
		},
		"cluster-scoped child with a namespace": {
			reason: "it can be in none, so something is mistaken",
			answer: `{"children":[` + child + `,{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"r","namespace":"$NAMESPACE"}}]}`,
			event: `Warning InvalidResponse on a: invalid response from the module: children[1]: ClusterRole is cluster-scoped, ` +
				`and metadata.namespace is "$NAMESPACE"`,
		},
		"foreign namespace": {
			reason: "who may write objects in one namespace need not be allowed to in another",
			answer: `{"children":[` + child + `,{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"default"}}]}`,
			event: `Warning InvalidResponse on a: invalid response from the module: children[1]: metadata.namespace: "default" ` +
				`is not the object's namespace "$NAMESPACE": allow it by namespaces of ConfigMap in owns of the controller's config`,
		},
		"the same child twice": {
			reason: "which of them is meant?",
			answer: `{"children":[` + child + `,{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new","namespace":"$NAMESPACE"}}]}`,
			event: "Warning InvalidResponse on a: invalid response from the module: children[1]: ConfigMap $NAMESPACE/new is there " +
				"already as children[0]",
		},
		"related objects": {
			reason: "the config does not allow any",
			answer: `{"children":[],"related":[{"apiVersion":"v1","kind":"Secret"}]}`,
			event: "Warning InvalidResponse on a: invalid response from the module: related[0]: kind v1 Secret is not allowed: add it " +
				"to related.allow in the controller's config",
		},
		"requeue without a clock": {
			reason: "the answer would be the same again",
			answer: `{"children":[],"requeueAfter":"1s"}`,
			event: "Warning InvalidResponse on a: invalid response from the module: requeueAfter: needs clock: true in the controller's " +
				"config: without a clock the answer would be the same again",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap, secret, clusterRole)})
			b.settle(wants("old"))
			b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
			b.answer, b.answerErr = tt.answer, tt.err
			_, err := b.Reconcile(t.Context(), b.name)
			// Without a clock the same request would have the same invalid answer.
			terminal := tt.terminal || strings.Contains(tt.event, "InvalidResponse")
			if err == nil || errors.Is(err, reconcile.TerminalError(nil)) != terminal {
				t.Errorf("%s: got error %v, want terminal to be %t", tt.reason, err, terminal)
			}
			if diff := cmp.Diff(did{Calls: 1, Events: []string{b.here(tt.event)}}, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if diff := cmp.Diff([]string{"old"}, b.children()); diff != "" {
				t.Errorf("%s: children: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestNothingIsDoneOnErrorsOfOthers has what depends on the kind that is reconciled.
func TestNothingIsDoneOnErrorsOfOthers(t *testing.T) {
	t.Run("the object itself as its child", func(t *testing.T) {
		b := newBench(t, Controller{For: thing, Owns: owns(thing)})
		b.answer = `{"children":[{"apiVersion":"reconcile.test/v1","kind":"Thing","metadata":{"name":"a"}}]}`
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Error("an object that owned itself would be pruned with its own children: want an error")
		}
		want := b.here("Warning InvalidResponse on a: invalid response from the module: children[0]: Thing $NAMESPACE/a is the reconciled object itself")
		if diff := cmp.Diff(did{Calls: 1, Events: []string{want}}, b.did()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("a child without a namespace of an object without one", func(t *testing.T) {
		b := newBench(t, Controller{For: namespace, Owns: owns(configMap)})
		b.answer = wants("a")
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Error("there is no namespace that it could be meant for: want an error")
		}
		want := "Warning InvalidResponse on " + b.name.Name + ": invalid response from the module: children[0]: metadata.namespace: " +
			"required, since the reconciled object has no namespace"
		if diff := cmp.Diff(did{Calls: 1, Events: []string{want}}, b.did()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestChildren follows an object through answers about its children.
func TestChildren(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap, secret)})
	steps := []struct {
		reason   string
		answer   string
		want     did
		children []string
	}{
		{"each child costs one write", wants("a", "b", "c"), did{Calls: 1, Writes: 3}, []string{"a", "b", "c"}},
		{"the module sees what has become of them, and is content", wants("a", "b", "c"), did{Calls: 1}, []string{"a", "b", "c"}},
		{"nothing has changed, so it need not be asked", wants(), did{}, []string{"a", "b", "c"}},
	}
	for _, step := range steps {
		b.answer = step.answer
		b.reconcileOnce()
		if diff := cmp.Diff(step.want, b.did()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step.reason, diff)
		}
		if diff := cmp.Diff(step.children, b.children()); diff != "" {
			t.Errorf("%s: children: -want +got:\n%s", step.reason, diff)
		}
	}
	changes := []struct {
		reason   string
		answer   string
		want     did
		children []string
	}{
		{"what the answer leaves out goes", wants("a", "c"), did{Calls: 1, Writes: 1}, []string{"a", "c"}},
		{"no opinion is not an empty list", `{"status":{"phase":"x"}}`, did{Calls: 1, Writes: 1}, []string{"a", "c"}},
		{"what is to be kept stays as it is", `{"children":[],"keep":[{"apiVersion":"v1","kind":"ConfigMap","name":"a"}]}`, did{Calls: 1, Writes: 1}, []string{"a"}},
		{"one of another kind does not keep it", `{"children":[],"keep":[{"apiVersion":"v1","kind":"Secret","name":"a"}]}`, did{Calls: 1, Writes: 1}, []string{}},
	}
	for i, change := range changes {
		b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(i + 10)} })
		b.answer = change.answer
		b.reconcileOnce()
		if diff := cmp.Diff(change.want, b.did()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", change.reason, diff)
		}
		if diff := cmp.Diff(change.children, b.children()); diff != "" {
			t.Errorf("%s: children: -want +got:\n%s", change.reason, diff)
		}
	}
}

// TestPruneOnlyAfterAllIsApplied leaves out one child and wants one that cannot be.
func TestPruneOnlyAfterAllIsApplied(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.settle(wants("old"))
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: taken}}`)
	b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
	b.answer = wants("new", "taken")
	_, err := b.Reconcile(t.Context(), b.name)
	if _, refused := errors.AsType[*apply.RefusedError](err); !refused {
		t.Errorf("got error %v, want a refusal", err)
	}
	want := did{Calls: 1, Writes: 1, Events: []string{b.here("Warning ApplyFailed on a: cannot apply ConfigMap $NAMESPACE/taken: it exists " +
		"already and belongs to nobody: delete it, or set adopt: true in the controller's config")}}
	if diff := cmp.Diff(want, b.did()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"new", "old", "taken"}, b.children()); diff != "" {
		t.Errorf("children: -want +got:\n%s", diff)
	}
}

// TestPruneBrake wants more gone than the limit of two.
func TestPruneBrake(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.settle(wants("a", "b", "c"))
	b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
	b.answer = wants()
	_, err := b.Reconcile(t.Context(), b.name)
	if _, stopped := errors.AsType[*apply.PruneLimitError](err); !stopped {
		t.Errorf("got error %v, want that of the limit", err)
	}
	want := did{Calls: 1, Events: []string{"Warning PruneFailed on a: 3 children would be pruned and prune.maxPerReconcile allows 2: " +
		"nothing was pruned; raise the limit if this is right"}}
	if diff := cmp.Diff(want, b.did()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, b.children()); diff != "" {
		t.Errorf("children: -want +got:\n%s", diff)
	}
}

// TestObjectIsGone meets objects that are not to be reconciled.
func TestObjectIsGone(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.settle(wants("a"))
	b.edit(thing, b.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["finalizers"] = []any{"example.com/hold"}
	})
	if err := api.Delete(t.Context(), b.object.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("it is going, so nothing is done to it any more: -want +got:\n%s", diff)
	}
	b.edit(thing, b.name, func(object map[string]any) { delete(object["metadata"].(map[string]any), "finalizers") })
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("it is gone: -want +got:\n%s", diff)
	}
	if len(b.memory.objects) != 0 {
		t.Errorf("what is gone is forgotten: got %v", b.memory.objects)
	}
}

// TestReadYourOwnWrites freezes the cache before the Reconciler's own writes.
func TestReadYourOwnWrites(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.cache.freeze(t, b.name.Namespace, thing, configMap)
	first := b.observe(thing, b.name)
	b.answer = `{"status":{"phase":"x"},"labels":{"l":"v"},` + wants("a", "b", "c")[1:]
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1, Writes: 5}, b.did()); diff != "" {
		t.Fatalf("three children, the status and a label: -want +got:\n%s", diff)
	}

	if wait := b.reconcileOnce(); wait <= 0 || wait > cacheTimeout {
		t.Errorf("the cache does not show the writes, so it is to be waited for: got %s", wait)
	}
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("until then the module is not called: -want +got:\n%s", diff)
	}

	b.cache.freeze(t, b.name.Namespace, configMap)
	b.cache.show(first)
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("the children are there, the object is still as it was: -want +got:\n%s", diff)
	}

	b.cache.thaw()
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("all five writes cost one more call: -want +got:\n%s", diff)
	}
}

// TestReadYourOwnDeletes freezes the cache before a prune.
func TestReadYourOwnDeletes(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.settle(wants("a", "b"))
	b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
	b.cache.freeze(t, b.name.Namespace, thing, configMap)
	b.answer = wants("a")
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1, Writes: 1}, b.did()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("the cache still shows what was deleted: -want +got:\n%s", diff)
	}
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}`)
	b.cache.show(b.observe(configMap, b.called("b")))
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("another one by that name shows that it is gone: -want +got:\n%s", diff)
	}
}

// TestChildGone hears of a child's going before the cache has ever shown it.
func TestChildGone(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.cache.freeze(t, b.name.Namespace, thing, configMap)
	b.answer = wants("a")
	b.reconcileOnce()
	child := b.observe(configMap, b.called("a"))
	other := *child
	other.UID = "another"
	b.Seen(&other, true)
	if writes, _ := b.memory.expected(b.name); len(writes) != 1 {
		t.Errorf("it was another one by that name: got %v, want the write to be waited for", writes)
	}
	b.Seen(child, false)
	if writes, _ := b.memory.expected(b.name); len(writes) != 1 {
		t.Errorf("that it is there is for the cache to show: got %v, want the write to be waited for", writes)
	}
	b.Seen(child, true)
	if writes, _ := b.memory.expected(b.name); len(writes) != 0 {
		t.Errorf("the cache will never show it: got %v, want no write to be waited for", writes)
	}
}

// TestCacheStaysBehind has a cache that never shows a write: it is not waited for without end, and what is written on
// the word of it does no harm.
func TestCacheStaysBehind(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.cache.freeze(t, b.name.Namespace, configMap)
	b.cache.show(b.observe(thing, b.name))
	b.answer = wants("a")
	b.reconcileOnce()
	b.did()
	b.memory.update(b.name, func(known *remembered) { known.since = known.since.Add(-cacheTimeout) })
	if wait := b.reconcileOnce(); wait != conflictPause {
		t.Errorf("got %s, want another try after %s", wait, conflictPause)
	}
	if diff := cmp.Diff(did{Calls: 0, Writes: 1}, b.did()); diff != "" {
		t.Errorf("the second create is refused, and is worth no event: -want +got:\n%s", diff)
	}
	for range maxConflicts - 1 {
		b.reconcileOnce()
	}
	if _, err := b.Reconcile(t.Context(), b.name); err == nil {
		t.Errorf("after %d conflicts in a row it is an error like others", maxConflicts)
	}
	if got := len(b.did().Events); got != 1 {
		t.Errorf("and is told of: got %d events, want 1", got)
	}
	if diff := cmp.Diff([]string{"a"}, b.children()); diff != "" {
		t.Errorf("children: -want +got:\n%s", diff)
	}
}

func TestConverged(t *testing.T) {
	tests := map[string]struct {
		reason string
		clock  bool
		change func(b *bench)
		calls  int
	}{
		"nothing": {
			reason: "the answer would be the same",
			change: func(*bench) {},
		},
		"time without a clock": {
			reason: "the module cannot know of it",
			change: func(b *bench) { b.time = b.time.Add(24 * time.Hour) },
		},
		"time with a clock": {
			reason: "a due resync always calls the module",
			clock:  true, calls: 1,
			change: func(b *bench) { b.time = b.time.Add(24 * time.Hour) },
		},
		"less time with a clock": {
			reason: "nothing is due yet",
			clock:  true,
			change: func(b *bench) { b.time = b.time.Add(time.Minute) },
		},
		"the object": {
			reason: "it is the input", calls: 1,
			change: func(b *bench) {
				b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
			},
		},
		"a child": {
			reason: "it is an input too", calls: 1,
			change: func(b *bench) {
				b.edit(configMap, types.NamespacedName{Namespace: b.name.Namespace, Name: "a"}, func(object map[string]any) { object["data"] = map[string]any{"of": "x"} })
			},
		},
		"a child of somebody else": {
			reason: "it is not ours to know of",
			change: func(b *bench) { b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}`) },
		},
		"the object, for another one by that name": {
			reason: "it is as new", calls: 1,
			change: func(b *bench) {
				if err := api.Delete(b.t.Context(), b.object.DeepCopy()); err != nil {
					b.t.Fatal(err)
				}
				b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap), Clock: tt.clock, Resync: time.Hour})
			b.settle(wants("a"))
			tt.change(b)
			if b.answer = wants(); tt.reason == "it is as new" {
				b.answer = "{}"
			}
			b.reconcileOnce()
			if diff := cmp.Diff(tt.calls, b.did().Calls); diff != "" {
				t.Errorf("%s: calls: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestErrorsAreNotConverged asks again after an error though nothing has changed.
func TestErrorsAreNotConverged(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.settle(wants("a"))
	b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(2)} })
	b.answerErr = trap{}
	for range 2 {
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Fatal("want an error")
		}
	}
	b.answerErr = nil
	b.reconcileOnce()
	want := did{Calls: 3, Events: []string{"Warning ModuleFailed on a: it trapped"}}
	if diff := cmp.Diff(want, b.did()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestOwnWritesUnseen writes what the module does not see: it is not called again to say the same.
func TestOwnWritesUnseen(t *testing.T) {
	b := newBench(t, Controller{For: thing, View: View{Ignore: []string{"status"}}})
	b.answer = `{"status":{"phase":"Done"}}`
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1, Writes: 1}, b.did()); diff != "" {
		t.Errorf("the first time: -want +got:\n%s", diff)
	}
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("with its own write: -want +got:\n%s", diff)
	}
	b.resize(7)
	b.answer = `{"status":{"phase":"Resized"}}`
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1, Writes: 1}, b.did()); diff != "" {
		t.Errorf("another request: -want +got:\n%s", diff)
	}
}

func TestRequeueAfter(t *testing.T) {
	tests := map[string]struct {
		reason   string
		clock    bool
		resync   time.Duration
		answer   string
		min, max time.Duration
		schedule Schedule
	}{
		"schedule":          {"it comes before the resync", true, 10 * time.Hour, `{}`, 15 * time.Minute, 15 * time.Minute, quarters{}},
		"schedule alone":    {"it is all there is", true, 0, `{}`, 15 * time.Minute, 15 * time.Minute, quarters{}},
		"requeue is sooner": {"the module says when", true, 0, `{"requeueAfter":"1m"}`, time.Minute, time.Minute, quarters{}},
		"no resync":         {"nothing is due, ever", true, 0, `{}`, 0, 0, nil},
		"no clock":          {"the module would say the same again", false, 10 * time.Hour, `{}`, 0, 0, nil},
		"resync":            {"a host spreads its resyncs", true, 10 * time.Hour, `{}`, 9 * time.Hour, 10 * time.Hour, nil},
		"requeue":           {"the module says when", true, 10 * time.Hour, `{"requeueAfter":"30s"}`, 30 * time.Second, 30 * time.Second, nil},
		"requeue alone":     {"the module says when", true, 0, `{"requeueAfter":"30s"}`, 30 * time.Second, 30 * time.Second, nil},
		"resync is sooner":  {"it looks at all there is", true, time.Minute, `{"requeueAfter":"1h"}`, 54 * time.Second, time.Minute, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Clock: tt.clock, Resync: tt.resync, Schedule: tt.schedule})
			b.answer = tt.answer
			for _, when := range []string{"first", "converged", "converged and past the resync"} {
				if when == "converged and past the resync" {
					b.time = b.time.Add(tt.resync)
				}
				if got := b.reconcileOnce(); got < tt.min || got > tt.max {
					t.Errorf("%s: %s: got %s, want %s to %s", tt.reason, when, got, tt.min, tt.max)
				}
			}
		})
	}
}

// quarters is a schedule: each quarter of an hour.
type quarters struct{}

func (quarters) Next(after time.Time) time.Time {
	return after.Truncate(15 * time.Minute).Add(15 * time.Minute)
}

// TestMinInterval changes an object again and again: the module is called for the last change, when it is time.
func TestMinInterval(t *testing.T) {
	b := newBench(t, Controller{For: thing, MinInterval: time.Minute})
	b.reconcileOnce()
	b.did()
	for size := range 3 {
		b.resize(10 + size)
		b.time = b.time.Add(10 * time.Second)
		if got, want := b.reconcileOnce(), time.Duration(50-10*size)*time.Second; got != want {
			t.Errorf("change %d is too soon: got %s, want %s", size, got, want)
		}
	}
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("too soon: -want +got:\n%s", diff)
	}
	b.time = b.time.Add(30 * time.Second)
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("when it is time: -want +got:\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	const event = `{"events":[{"type":"Normal","reason":"Told","message":"m"}]}`
	b := newBench(t, Controller{For: thing, Clock: true, Resync: time.Nanosecond})
	steps := []struct {
		reason string
		pass   time.Duration
		answer string
		want   []string
	}{
		{"it is new", 0, event, []string{"Normal Told on a: m"}},
		{"it says the same as the one before", time.Minute, event, nil},
		{"it says something else", time.Minute, `{"events":[{"type":"Normal","reason":"Told","message":"n"}]}`, []string{"Normal Told on a: n"}},
		{"what it tells of goes on", eventInterval, event, []string{"Normal Told on a: m"}},
		{"twice in one answer is once", time.Minute, `{"events":[{"type":"Warning","reason":"W"},{"type":"Warning","reason":"W"}]}`, []string{"Warning W on a: "}},
	}
	for _, step := range steps {
		b.time = b.time.Add(step.pass)
		b.answer = step.answer
		b.reconcileOnce()
		b.time = b.time.Add(time.Second) // past the resync, so that the module is always asked
		if diff := cmp.Diff(step.want, b.did().Events); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step.reason, diff)
		}
	}
}

// TestEventsAreBounded has a module whose every answer tells of something else.
func TestEventsAreBounded(t *testing.T) {
	b := newBench(t, Controller{For: thing, Clock: true, Resync: time.Nanosecond})
	for i := range maxEvents + 10 {
		b.time = b.time.Add(time.Second)
		b.answer = `{"events":[{"type":"Normal","reason":"Told","message":"` + time.Duration(i).String() + `"}]}`
		b.reconcileOnce()
	}
	if got := len(b.did().Events); got != maxEvents {
		t.Errorf("got %d events, want %d", got, maxEvents)
	}
}

// TestMetadataAndStatusOfTheObject is what an answer may do to the object itself.
func TestMetadataAndStatusOfTheObject(t *testing.T) {
	b := newBench(t, Controller{For: thing})
	b.edit(thing, b.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["labels"] = map[string]any{"theirs": "1", "old": "2"}
	})
	b.settle(`{"status":{"phase":"Ready"},"labels":{"new":"3","old":null},"annotations":{"note":"4"}}`)
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(thing.GroupVersionKind)
	if err := api.Get(t.Context(), b.name, found); err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"labels": found.GetLabels(), "annotations": found.GetAnnotations(), "status": found.Object["status"]}
	want := map[string]any{
		"labels":      map[string]string{"theirs": "1", "new": "3"},
		"annotations": map[string]string{"note": "4"},
		"status":      map[string]any{"phase": "Ready"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b.memory.unsettle(b.name, false)
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("what is so already is not written: -want +got:\n%s", diff)
	}
}
