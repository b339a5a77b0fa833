package engine

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// TestResyncs looks at objects again and again, and calls no module for it.
func TestResyncs(t *testing.T) {
	r := newRoom(t, cluster, func(_ string, entry *config.Controller) { entry.Name, entry.Resync = "resynced", "1s" })
	r.modern("a", "")
	r.modern("b", "")
	eventually(t, func() error {
		if looked := counter(t, resyncs.WithLabelValues("resynced")); looked < 6 {
			return fmt.Errorf("objects were looked at %v times, want at least 6", looked)
		}
		return nil
	})
	r.count("a", 1)
	r.count("b", 1)
}

// TestResyncQueues puts into the queue what has changed without an event, with less haste than anything else.
func TestResyncQueues(t *testing.T) {
	name := types.NamespacedName{Namespace: "n", Name: "a"}
	reader := &pretender{}
	module := reconcile.ModuleFunc(func(_ context.Context, _ []byte, _ func(abi.Level, string)) ([]byte, error) { return []byte(`{}`), nil })
	reconciler := reconcile.New(reconcile.Controller{Name: "c", For: reconcile.Kind{GroupVersionKind: modern, Namespaced: true}, Resync: 1},
		module, reader, apply.New("c", reader, nil, apply.Options{}), nil)
	if _, err := reconciler.Reconcile(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	queue := priorityqueue.New[key]("test")
	defer queue.ShutDown()
	pass := &resyncer{controller: "c", reconcilers: dispatcher{modern: reconciler}}
	pass.pass(t.Context(), queue)
	reader.version = "2"
	pass.pass(t.Context(), queue)
	item, priority, _ := queue.GetWithPriority()
	if item != (key{modern, name}) || priority != reconcile.ResyncPriority || queue.Len() != 0 {
		t.Errorf("got %v with the priority %d, and %d more", item, priority, queue.Len())
	}
}
