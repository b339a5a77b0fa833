package reconcile

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// newBenchWithFinalizerLost returns a bench whose object is gone, without having been seen to be deleted, and has left a child.
func newBenchWithFinalizerLost(t *testing.T) (*bench, foreign) {
	t.Helper()
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
	child := foreigners(t)["in another namespace"]
	b.settle(strings.Replace(wants("here"), `{"children":[`, `{"children":[`+child.json+`,`, 1))
	b.loseFinalizer()
	return b, child
}

// loseFinalizer has the object go as if the finalizer had come too late.
func (b *bench) loseFinalizer() {
	b.t.Helper()
	b.edit(thing, b.name, func(object map[string]any) { object["metadata"].(map[string]any)["finalizers"] = nil })
	b.delete(thing, b.name)
}

// TestFinalizerLost follows what becomes of a child when its object went though it had the finalizer.
func TestFinalizerLost(t *testing.T) {
	tests := map[string]struct {
		reason string
		before func(b *bench, child foreign)
		made   []string
		there  bool
	}{
		"gone": {"nobody else would ever delete the child", func(*bench, foreign) {}, []string{"PATCH things/a", "DELETE configmaps/abroad"}, false},
		"replaced": {"the new one could not have a child of that name", func(b *bench, _ foreign) {
			b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
		}, []string{"PATCH things/a", "DELETE configmaps/abroad"}, false},
		"not the object's any more": {"it is somebody else's", func(b *bench, child foreign) {
			b.edit(configMap, child.name, func(object map[string]any) { delete(object["metadata"].(map[string]any), "annotations") })
		}, nil, true},
		"let go by hand": {"who takes the finalizer away wants no more to be done", func(b *bench, _ foreign) { b.memory.goes(b.name) }, nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b, child := newBenchWithFinalizerLost(t)
			tt.before(b, child)
			b.answer = `{}`
			b.reconcileOnce()
			made, _ := b.wrote()
			if diff := cmp.Diff(tt.made, made); diff != "" {
				t.Errorf("%s: writes: -want +got:\n%s", tt.reason, diff)
			}
			if found := b.observe(configMap, child.name); (found != nil) != tt.there {
				t.Errorf("%s: child: got %v", tt.reason, found)
			}
			if b.observe(configMap, b.called("here")) == nil {
				t.Error("a child that goes by its owner reference is not the host's to delete")
			}
			b.reconcileOnce()
			if made, _ := b.wrote(); len(made) > 0 {
				t.Errorf("nothing is left to be done: got %v", made)
			}
		})
	}
}

// TestFinalizerLostInCache has a cache that does not show an object which is there.
func TestFinalizerLostInCache(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
	child := foreigners(t)["in another namespace"]
	b.settle(`{"children":[` + child.json + `]}`)
	b.cache.freeze(t, child.name.Namespace, configMap)
	b.reconcileOnce()
	if made, _ := b.wrote(); !cmp.Equal(made, []string{"PATCH things/a"}) {
		t.Errorf("writes: got %v, want but the question whether it is gone", made)
	}
}

// TestFinalizerLostUnanswered cannot find out whether the object is gone.
func TestFinalizerLostUnanswered(t *testing.T) {
	b, child := newBenchWithFinalizerLost(t)
	b.broken = true
	for range 2 {
		if _, err := b.Reconcile(t.Context(), b.name); err == nil {
			t.Error("it must be tried again")
		}
		if b.observe(configMap, child.name) == nil {
			t.Fatal("it was deleted though nobody knows that the object is gone")
		}
	}
	b.broken = false
	b.reconcileOnce()
	if found := b.observe(configMap, child.name); found != nil {
		t.Errorf("got %v", found)
	}
}

// TestFinalizerLostForbidden may not find out whether the object is gone: it will not be told tomorrow either.
func TestFinalizerLostForbidden(t *testing.T) {
	b, child := newBenchWithFinalizerLost(t)
	b.refuse = func(request *http.Request) bool { return request.Method == http.MethodPatch }
	b.reconcileOnce()
	if b.observe(configMap, child.name) == nil {
		t.Error("it was deleted though nobody knows that the object is gone")
	}
	b.refuse = nil
	b.reconcileOnce()
	if made, _ := b.wrote(); !cmp.Equal(made, []string{"PATCH things/a"}) {
		t.Errorf("writes: got %v", made)
	}
}

// TestFinalizerLostOwned leaves a child to the garbage collector to which somebody has given the owner reference that it could not have.
func TestFinalizerLostOwned(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
	child := foreigners(t)["cluster-scoped"]
	b.settle(`{"children":[` + child.json + `]}`)
	b.edit(child.kind, child.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["ownerReferences"] = []any{
			map[string]any{"apiVersion": "reconcile.test/v1", "kind": "Thing", "name": "a", "uid": string(b.object.GetUID())},
		}
	})
	b.loseFinalizer()
	if wait := b.reconcileOnce(); wait > 0 {
		t.Errorf("it is waited for: %s", wait)
	}
	if made, _ := b.wrote(); len(made) > 0 {
		t.Errorf("writes: got %v", made)
	}
}

// TestFinalizerLostBeforeChildIsSeen waits for the cache to show a child that was just made.
func TestFinalizerLostBeforeChildIsSeen(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
	child := foreigners(t)["in another namespace"]
	b.answer = `{"children":[` + child.json + `]}`
	b.reconcileOnce()
	b.cache.freeze(t, b.name.Namespace, thing)
	b.reconcileOnce()
	b.loseFinalizer()
	b.cache.freeze(t, b.name.Namespace, thing)
	b.did()
	if wait := b.reconcileOnce(); wait <= 0 || wait > cacheTimeout {
		t.Errorf("got %s", wait)
	}
	b.cache.thaw()
	if woken := b.Seen(b.observe(configMap, child.name), false); len(woken) != 1 || woken[0] != b.name {
		t.Errorf("its event wakes %v", woken)
	}
	b.reconcileOnce()
	if found := b.observe(configMap, child.name); found != nil {
		t.Errorf("got %v", found)
	}
}

// TestDeletionOnItsWay deletes objects just when the host puts its finalizer on them, which goes either way.
func TestDeletionOnItsWay(t *testing.T) {
	const attempts = 50
	child, outcomes := foreigners(t)["in another namespace"], map[string]int{}
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
	b.answer = `{"children":[` + child.json + `]}`
	for i := range attempts {
		deleted := make(chan struct{})
		b.refuse = func(request *http.Request) bool {
			if strings.HasSuffix(request.URL.Path, "/things/a") {
				b.refuse = nil
				go func() {
					defer close(deleted)
					b.delete(thing, b.name)
				}()
				time.Sleep(time.Duration(i) * 20 * time.Microsecond)
			}
			return false
		}
		result, err := b.Reconcile(t.Context(), b.name)
		<-deleted
		switch held := len(b.finalizers()) > 0; {
		case err != nil || result.RequeueAfter != cacheTimeout:
			outcomes["too late"]++
		case held:
			outcomes["held"]++
		default:
			outcomes["held, and gone in spite of it"]++
		}
		for range 3 { // an error is that the object is gone
			_, _ = b.Reconcile(t.Context(), b.name)
		}
		if left := []*kube.Object{b.observe(thing, b.name), b.observe(configMap, child.name)}; left[0] != nil || left[1] != nil {
			t.Fatalf("attempt %d: left is %v", i, left)
		}
		b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
	}
	t.Log(outcomes)
}
