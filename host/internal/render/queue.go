package render

import (
	"time"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// queue has the objects that are to be reconciled: those whose turn has come in the order in which they were woken, and
// others when it is time.
type queue struct {
	ready  []kube.ID
	queued map[kube.ID]bool
	due    map[kube.ID]time.Time
}

func newQueue() *queue { return &queue{queued: map[kube.ID]bool{}, due: map[kube.ID]time.Time{}} }

func (q *queue) add(id kube.ID) {
	if !q.queued[id] {
		q.queued[id] = true
		q.ready = append(q.ready, id)
	}
}

// take takes the first n objects out, or as many as there are.
func (q *queue) take(n int) (taken []kube.ID) {
	n = min(n, len(q.ready))
	taken, q.ready = q.ready[:n:n], q.ready[n:]
	for _, id := range taken {
		delete(q.queued, id)
	}
	return taken
}

// next is the time of what is due first.
func (q *queue) next() (at time.Time, ok bool) {
	for _, each := range q.due {
		if !ok || each.Before(at) {
			at, ok = each, true
		}
	}
	return at, ok
}

// wake makes ready what is due by now.
func (q *queue) wake(now time.Time) {
	for _, id := range sortedIDs(q.due) {
		if !q.due[id].After(now) {
			delete(q.due, id)
			q.add(id)
		}
	}
}
