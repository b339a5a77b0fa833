package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// holds says whether the object has the controller's finalizer.
func (r *Reconciler) holds(object *kube.Object) bool {
	return slices.Contains(object.Finalizers, apply.Finalizer(r.controller.Name))
}

// hold puts the controller's finalizer on the object. The module is called when the cache shows it, since it sees it too.
func (r *Reconciler) hold(ctx context.Context, name types.NamespacedName, observed *observation) (reconcile.Result, error) {
	held, err := r.applier.Hold(ctx, observed.object, r.controller.Name)
	if err != nil {
		return r.failed(ctx, name, observed, faultOf(reasonFinalizeFailed, err))
	}
	r.memory.wrote(name, held, false)
	return reconcile.Result{RequeueAfter: cacheTimeout}, nil
}

// cleanUp deletes the children that would stay when the object goes, and when they are gone, lets go of the object.
func (r *Reconciler) cleanUp(ctx context.Context, name types.NamespacedName, observed *observation) (reconcile.Result, error) {
	if !r.holds(observed.object) {
		return reconcile.Result{}, nil
	}
	left, changes := r.applier.Remove(ctx, apply.OwnerOf(r.controller.Name, observed.object), observed.children)
	if err := r.note(ctx, name, changes); err != nil {
		return r.failed(ctx, name, observed, faultOf(reasonPruneFailed, err))
	}
	if left > 0 {
		return reconcile.Result{RequeueAfter: r.resync()}, nil // the going of each wakes the object
	}
	if wait := r.unsure(name); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if err := r.release(ctx, name, observed.object); err != nil {
		return r.failed(ctx, name, observed, faultOf(reasonFinalizeFailed, err))
	}
	logr.FromContextOrDiscard(ctx).Info("object is let go", "finalizer", apply.Finalizer(r.controller.Name))
	return reconcile.Result{}, nil
}

// release takes the controller's finalizer off the object.
func (r *Reconciler) release(ctx context.Context, name types.NamespacedName, object *kube.Object) error {
	released, err := r.applier.Release(ctx, object, r.controller.Name)
	if err == nil {
		r.memory.wrote(name, released, false)
	}
	return err
}

// holdForChildren sees to it that the object has the controller's finalizer as long as there are children that would stay
// when it goes, since they can have no owner reference.
func (r *Reconciler) holdForChildren(ctx context.Context, name types.NamespacedName, observed *observation, desired []kube.ID) error {
	if observed.finalizing || r.controller.Finalize {
		return nil
	}
	owner := apply.OwnerOf(r.controller.Name, observed.object)
	stays := func(id kube.ID) bool { return !owner.Reaches(id.NamespacedName) && !r.options(id).Orphan }
	switch {
	case slices.ContainsFunc(desired, stays):
		held, err := r.applier.Hold(ctx, observed.object, r.controller.Name)
		r.memory.wrote(name, held, false)
		return err
	case !r.holds(observed.object) || slices.ContainsFunc(observed.children, func(child *kube.Object) bool { return stays(child.ID()) }):
		return nil
	}
	if wait := r.unsure(name); wait > 0 { // one may come of which nobody knows the name
		r.memory.doubt(name, kube.ID{}, time.Now().Add(wait))
		return nil
	}
	return r.release(ctx, name, observed.object)
}

func (r *Reconciler) options(id kube.ID) apply.KindOptions {
	for _, kind := range r.controller.Owns {
		if kind.GroupVersionKind == id.GroupVersionKind {
			return kind.Options
		}
	}
	return apply.KindOptions{}
}

// heldError is why an object that is being deleted is still there.
type heldError struct {
	cause     error
	finalizer string
}

// Error says what to do.
func (e *heldError) Error() string {
	return fmt.Sprintf("%v; the object is not gone before that is mended: to give it up, run wasmloop release, which removes its finalizer %s", e.cause, e.finalizer)
}

// Unwrap returns the cause.
func (e *heldError) Unwrap() error { return e.cause }
