package engine

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// Resyncs come in passes, so often that each is at most a twentieth of the time late.
const (
	resyncPasses   = 20
	minResyncPause = time.Second
	maxResyncPause = time.Minute
)

// resyncer has a controller's objects looked at again from time to time. It is a source of the controller's events.
type resyncer struct {
	controller  string
	every       time.Duration
	reconcilers dispatcher
}

// Start implements source.TypedSource.
func (r *resyncer) Start(ctx context.Context, queue queue) error {
	pause := min(max(r.every/resyncPasses, minResyncPause), maxResyncPause)
	go wait.UntilWithContext(ctx, func(ctx context.Context) { r.pass(ctx, queue) }, pause)
	return nil
}

// pass puts into the queue what is due and not as it should be.
func (r *resyncer) pass(ctx context.Context, queue queue) {
	for kind, reconciler := range r.reconcilers {
		due, differing := reconciler.Resync(ctx)
		resyncs.WithLabelValues(r.controller).Add(float64(due))
		for _, name := range differing {
			add(queue, key{kind, name}, reconcile.ResyncPriority)
		}
	}
}

// String names the source in the log.
func (*resyncer) String() string { return "resync" }

// heirs are reconcilers that have inherited objects from others. As a source of the controller's events they have each of them looked
// at: one that is not there any more, or not selected, has no event of its own.
type heirs dispatcher

// Start implements source.TypedSource.
func (h heirs) Start(_ context.Context, queue queue) error {
	for kind, reconciler := range h {
		for _, name := range reconciler.Names() {
			add(queue, key{kind, name}, reconcile.ResyncPriority)
		}
	}
	return nil
}

// String names the source in the log.
func (heirs) String() string { return "objects of the controller before" }

// add puts an object into a queue, with a priority if the queue knows any.
func add(q queue, k key, priority int) {
	if byPriority, ok := q.(priorityqueue.PriorityQueue[key]); ok {
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, k)
	} else {
		q.Add(k)
	}
}
