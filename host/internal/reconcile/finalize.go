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
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// holds says whether the object has the controller's finalizer.
func (r *Reconciler) holds(object *kube.Object) bool {
	return slices.Contains(object.Finalizers, apply.Finalizer(r.controller.Name))
}

// hold puts the controller's finalizer on the object. What is to be done, is done when the cache shows it: the module sees it, too,
// and an object whose deletion was on its way may be gone in spite of it.
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

// mustHold says whether the controller's finalizer has to be on the object before an answer is carried out, and is not.
func (r *Reconciler) mustHold(observed *observation, response *abi.Response) bool {
	return !observed.finalizing && !r.holds(observed.object) && r.wantsStaying(observed, response)
}

// wantsStaying says whether an answer wants children that would stay when the object goes.
func (r *Reconciler) wantsStaying(observed *observation, response *abi.Response) bool {
	if observed.asLeft { // then it wants those that there are
		return r.hasStaying(observed)
	}
	return slices.ContainsFunc(response.Children, func(child abi.Object) bool { return r.stays(observed, idOf(child.Reference())) })
}

// hasStaying says whether there are children that would stay when the object goes.
func (r *Reconciler) hasStaying(observed *observation) bool {
	return slices.ContainsFunc(observed.children, func(child *kube.Object) bool { return r.stays(observed, child.ID()) })
}

// stays says whether a child would stay when the object goes, since it can have no owner reference.
func (r *Reconciler) stays(observed *observation, child kube.ID) bool {
	return !apply.OwnerOf(r.controller.Name, observed.object).Reaches(child.NamespacedName) && !r.options(child).Orphan
}

// releaseFromChildren takes the controller's finalizer off an object that has no children any more that would stay, and is to have
// none.
func (r *Reconciler) releaseFromChildren(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) error {
	noOpinion := response.Children == nil && !observed.asLeft
	if noOpinion || observed.finalizing || r.controller.Finalize || !r.holds(observed.object) || r.wantsStaying(observed, response) || r.hasStaying(observed) {
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
