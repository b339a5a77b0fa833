package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
)

// TestSeenOfRefused has an object wait for one that is somebody else's.
func TestSeenOfRefused(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap, secret)})
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: taken}}`)
	taken := b.observe(configMap, b.called("taken"))
	b.create(`{apiVersion: v1, kind: Secret, metadata: {name: taken}}`)
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: free}}`)
	b.answer = wants("taken")
	for range 2 { // to be refused twice is not to be woken twice
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Fatal("want an error: it is somebody's")
		}
	}
	if diff := cmp.Diff([]types.NamespacedName{b.name}, b.Seen(taken, true)); diff != "" {
		t.Errorf("its going wakes the object: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]types.NamespacedName{b.name}, b.Seen(taken, false)); diff != "" {
		t.Errorf("its change may be that it was given up: -want +got:\n%s", diff)
	}
	if got := b.Seen(b.observe(secret, b.called("taken")), true); len(got) > 0 {
		t.Errorf("one of another kind: got %v, want none", got)
	}
	if got := b.Seen(b.observe(configMap, b.called("free")), true); len(got) > 0 {
		t.Errorf("one of another name: got %v, want none", got)
	}
	b.delete(configMap, b.called("taken"))
	b.reconcileOnce()
	if diff := cmp.Diff([]string{"free", "taken"}, b.children()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := b.Seen(taken, true); len(got) > 0 {
		t.Errorf("it is waited for no more: got %v, want none", got)
	}
}

// TestSeenOfRefusedByTheGone forgets what an object has waited for, with the object.
func TestSeenOfRefusedByTheGone(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: taken}}`)
	b.answer = wants("taken")
	if _, err := b.Reconcile(t.Context(), b.name); err == nil {
		t.Fatal("want an error: it is somebody's")
	}
	b.delete(thing, b.name)
	b.reconcileOnce()
	if got := b.Seen(b.observe(configMap, b.called("taken")), true); len(got) > 0 {
		t.Errorf("got %v, want none", got)
	}
	if len(b.memory.refusals) != 0 || len(b.memory.names) != 0 || len(b.memory.objects) != 0 {
		t.Errorf("what is gone is forgotten: got %v, %v, %v", b.memory.refusals, b.memory.names, b.memory.objects)
	}
}

// TestSeenOfChildren says whom a child wakes that can have no owner reference.
func TestSeenOfChildren(t *testing.T) {
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			found := b.observe(child.kind, child.name)
			if diff := cmp.Diff([]types.NamespacedName{b.name}, b.Seen(found, false)); diff != "" {
				t.Errorf("its owner: -want +got:\n%s", diff)
			}
			copied := *found
			copied.Name = "copy"
			if got := b.Seen(&copied, false); len(got) > 0 {
				t.Errorf("a copy is nobody's: got %v, want none", got)
			}
			other := New(Controller{Name: "other", For: thing}, nil, nil, nil, nil)
			other.memory.meet(b.name, b.object.GetUID())
			if got := other.Seen(found, false); len(got) > 0 {
				t.Errorf("another controller's child: got %v, want none", got)
			}
		})
	}
}

// TestReplaced has the API server say that something was replaced: that is nothing that anybody need be told.
func TestReplaced(t *testing.T) {
	tests := map[string]struct {
		reason string
		answer string
		// replace is done while the cache shows what was there before.
		replace func(b *bench)
	}{
		"child": {
			"somebody has made another one by its name", wants("a"),
			func(b *bench) {
				b.delete(configMap, b.called("a"))
				b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {theirs: "1"}, immutable: true}`)
			},
		},
		"object, by its labels": {
			"what is true of the one need not be of the other", `{"labels":{"a":"b"}}`,
			func(b *bench) {
				b.delete(thing, b.name)
				b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
			b.settle(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"of":"before"}}]}`)
			b.cache.freeze(t, b.name.Namespace, thing, configMap)
			tt.replace(b)
			b.memory.unsettle(b.name, false)
			b.answer = tt.answer
			if wait := b.reconcileOnce(); wait != conflictPause {
				t.Errorf("%s: got %s, want another try after %s", tt.reason, wait, conflictPause)
			}
			if diff := cmp.Diff(did{Calls: 1, Writes: 1}, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestEventsOfAnother does not take an object for another one that had its name.
func TestEventsOfAnother(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: taken}}`)
	b.answer = wants("taken")
	count := func() int {
		t.Helper()
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Fatal("want an error: it is somebody's")
		}
		return len(b.did().Events)
	}
	if first, second := count(), count(); first != 1 || second != 0 {
		t.Errorf("one is enough: got %d and %d", first, second)
	}
	b.delete(thing, b.name)
	b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
	if got := count(); got != 1 {
		t.Errorf("nobody has told the new one: got %d, want 1", got)
	}
	b.delete(thing, b.name)
	b.reconcileOnce() // its going is seen this time
	b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
	if got := count(); got != 1 {
		t.Errorf("nobody has told the new one: got %d, want 1", got)
	}
}
