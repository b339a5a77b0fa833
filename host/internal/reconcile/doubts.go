package reconcile

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// doubtful says whether a write that failed may have been carried out all the same, since the answer was lost.
func doubtful(err error) bool {
	if _, broken := errors.AsType[*url.Error](err); broken {
		return true
	}
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= http.StatusInternalServerError
}

// inDoubt says whether a child may be there that the cache does not show, after a write of it has failed: the write may have been
// carried out, or another one's that the cache has not heard of.
func (r *Reconciler) inDoubt(ctx context.Context, child kube.ID, err error) bool {
	if doubtful(err) {
		return true
	}
	if !apierrors.IsConflict(err) {
		return false
	}
	shown, err := r.reader.Get(ctx, child)
	return err == nil && shown == nil
}

// doubt remembers until a time that nobody knows whether a child was written. If it was, the cache shows it in time. Until then its
// owner must not be let go, or a child that has no owner reference would stay.
func (m *memory) doubt(name types.NamespacedName, child kube.ID, until time.Time) {
	m.update(name, func(known *remembered) {
		if known.doubts == nil {
			known.doubts = map[kube.ID]time.Time{}
		}
		known.doubts[child] = until
	})
}

// doubtPredecessor does so of an object that is seen for the first time: what a host before this one has written for it may still be
// on its way, though that host is gone. It concerns objects that are held because of such children, and not those that may have none.
func (r *Reconciler) doubtPredecessor(name types.NamespacedName, object *kube.Object) {
	until := r.started.Add(r.controller.Predecessor)
	if time.Now().Before(until) && r.holds(object) && slices.ContainsFunc(r.controller.Owns, r.mayStay) {
		r.memory.doubt(name, kube.ID{}, until)
	}
}

// mayStay says whether children of a kind may be where no owner reference leads.
func (r *Reconciler) mayStay(kind OwnedKind) bool {
	return r.controller.For.Namespaced && !kind.Options.Orphan && (!kind.Namespaced || len(kind.Namespaces) > 0)
}

// unsure returns how long to wait until all that was written is known.
func (m *memory) unsure(name types.NamespacedName) (wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil {
		return 0
	}
	for child, until := range known.doubts {
		if left := time.Until(until); left > 0 {
			wait = max(wait, left)
		} else {
			delete(known.doubts, child)
		}
	}
	return wait
}

// sure forgets doubts about a child.
func (m *memory) sure(name types.NamespacedName, child kube.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.objects[name]; known != nil {
		delete(known.doubts, child)
	}
}
