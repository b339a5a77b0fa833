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

	"github.com/wasmloop/wasmloop/host/internal/apply"
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
// carried out, or somebody else's was, of which the cache has not heard, so that it could not be created.
func (r *Reconciler) inDoubt(ctx context.Context, failed apply.Change) bool {
	if doubtful(failed.Err) {
		return true
	}
	if deletion := failed.Object != nil; deletion || !apierrors.IsConflict(failed.Err) {
		return false
	}
	shown, err := r.reader.Get(ctx, failed.ID)
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

// unsure returns how long to wait until all that was written for an object is known: by this host, and where there may be children
// that would stay, by one before it, which may be gone while what it has written is still on its way.
func (r *Reconciler) unsure(name types.NamespacedName) time.Duration {
	wait := r.memory.unsure(name)
	if slices.ContainsFunc(r.controller.Owns, r.mayStay) {
		wait = max(wait, time.Until(r.started.Add(r.controller.Predecessor)))
	}
	return wait
}

// mayStay says whether children of a kind may be where no owner reference leads.
func (r *Reconciler) mayStay(kind OwnedKind) bool {
	return r.controller.For.Namespaced && !kind.Options.Orphan && (!kind.Namespaced || len(kind.Namespaces) > 0)
}

// unsure returns how long to wait until all that was written is known.
func (m *memory) unsure(name types.NamespacedName) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.objects[name]; known != nil {
		return known.inDoubt()
	}
	return 0
}

// inDoubt returns how long there are doubts, and forgets those that are over.
func (known *remembered) inDoubt() (wait time.Duration) {
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
