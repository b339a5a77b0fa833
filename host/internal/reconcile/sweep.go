package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// sweep deletes the children that an object has left which is gone though the controller's finalizer was on it. The API server looks
// for finalizers before it deletes an object, and not again when it does: one that is put on in between does not hold the object.
// object is what has the name now. While the returned time has not passed, the object is not to be forgotten.
func (r *Reconciler) sweep(ctx context.Context, name types.NamespacedName, object *kube.Object) (wait time.Duration, err error) {
	uid, lost := r.memory.lost(name, object)
	if !lost || !slices.ContainsFunc(r.controller.Owns, r.mayStay) {
		return 0, nil
	}
	if wait := max(r.unseenWrites(ctx, name), r.memory.unsure(name)); wait > 0 {
		return wait, nil // there may be children that the cache does not show
	}
	owner := apply.Owner{Controller: r.controller.Name, Kind: r.controller.For.GroupVersionKind, NamespacedName: name, UID: uid}
	children, err := r.childrenOf(ctx, owner)
	if err != nil {
		return 0, err
	}
	left := slices.DeleteFunc(r.applier.Staying(owner, children), func(child *kube.Object) bool { return child.Deleting })
	if len(left) == 0 {
		return 0, nil
	}
	log := logr.FromContextOrDiscard(ctx)
	switch gone, err := r.applier.IsGone(ctx, owner); {
	case apierrors.IsForbidden(err): // its namespace may have been taken from the controller
		log.Info("children are left that nobody deletes, since the host may not ask whether their owner is gone", "uid", uid, "error", err.Error())
		return 0, nil
	case err != nil || !gone:
		return 0, err
	}
	log.Info("object went before its finalizer could hold it; the children that it left are deleted", "uid", uid)
	_, changes := r.applier.Remove(ctx, owner, left)
	if err := r.note(ctx, name, changes); err != nil {
		if isConflict(err) {
			return conflictPause, nil
		}
		return 0, err
	}
	return cacheTimeout, nil
}

// lost returns the UID of the object that was known by a name, if another one has that now, or none, and nothing was seen of its going.
func (m *memory) lost(name types.NamespacedName, now *kube.Object) (uid types.UID, lost bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || known.uid == "" || known.going || now != nil && now.UID == known.uid {
		return "", false
	}
	return known.uid, true
}

// goes remembers that an object is being deleted, and does not go before the controller lets it.
func (m *memory) goes(name types.NamespacedName) {
	m.update(name, func(known *remembered) { known.going = true })
}
