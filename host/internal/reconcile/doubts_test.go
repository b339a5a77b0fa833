package reconcile

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// land has a write of ours arrive that was on its way.
func (b *bench) land(written *unstructured.Unstructured) {
	b.t.Helper()
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(written.Object, "metadata", field)
	}
	body, err := kube.AppendJSON(nil, written.Object)
	if err != nil {
		b.t.Fatal(err)
	}
	patch := client.RawPatch("application/apply-patch+yaml", body)
	if err := api.Patch(b.t.Context(), written, patch, client.FieldOwner(apply.FieldManager("tester")), client.ForceOwnership); err != nil {
		b.t.Fatal(err)
	}
}

// newBenchWithLateChild returns a bench whose object wants a child in another namespace, and what is written of it, but not there yet.
func newBenchWithLateChild(t *testing.T) (*bench, foreign, *unstructured.Unstructured) {
	t.Helper()
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
	child := foreigners(t)["in another namespace"]
	b.settle(`{"children":[` + child.json + `]}`)
	late := b.raw(configMap, child.name)
	b.delete(configMap, child.name)
	return b, child, late
}

// TestPredecessor has a child arrive that a host has made which was killed, when its object is about to go.
func TestPredecessor(t *testing.T) {
	b, child, late := newBenchWithLateChild(t)
	b.delete(thing, b.name)
	b.controller.Predecessor = time.Minute
	b.restart()
	for range 2 {
		if wait := b.reconcileOnce(); wait <= 0 || wait > time.Minute || len(b.finalizers()) == 0 {
			t.Fatalf("got %s, finalizers %v, want to wait for what may still come", wait, b.finalizers())
		}
	}
	b.land(late)
	b.reconcileOnce()
	if found := b.observe(configMap, child.name); found != nil {
		t.Errorf("it came in time to be deleted: got %v", found)
	}
	if b.reconcileOnce(); len(b.finalizers()) == 0 {
		t.Error("another one may come")
	}
	b.started = time.Now().Add(-time.Minute)
	if b.reconcileOnce(); b.observe(thing, b.name) != nil {
		t.Error("nothing comes any more, and it is still there")
	}
}

// TestPredecessorOfOthers lets objects go at once that can have no child which would stay.
func TestPredecessorOfOthers(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap), Finalize: true, Predecessor: time.Minute})
	b.reconcileOnce()
	b.settle(`{"children":[]}`)
	b.delete(thing, b.name)
	b.restart()
	b.answer = `{"finalized":true}`
	if b.reconcileOnce(); b.observe(thing, b.name) != nil {
		t.Error("it is still there")
	}
}

// TestConflictLeavesDoubt makes a child that is there already, though the cache does not show it.
func TestConflictLeavesDoubt(t *testing.T) {
	b, child, late := newBenchWithLateChild(t)
	b.cache.freeze(t, child.name.Namespace, configMap)
	b.cache.show(b.observe(thing, b.name))
	b.land(late)
	b.memory.unsettle(b.name, false)
	if wait := b.reconcileOnce(); wait != conflictPause || b.memory.unsure(b.name) <= 0 {
		t.Errorf("got %s, unsure %s", wait, b.memory.unsure(b.name))
	}
}
