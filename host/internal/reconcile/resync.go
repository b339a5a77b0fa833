package reconcile

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// ResyncPriority is the priority in the queue of objects that are looked at again though nothing happened. What did happen
// goes before.
const ResyncPriority = -100

// rest is what comes after an object is settled. With a clock the module is called again when that is due, whatever else
// happens. Without one it would give the same answer, and Resync finds what has changed unnoticed: it is far cheaper than
// a place in the queue.
func (r *Reconciler) rest(due time.Time) reconcile.Result {
	if !r.controller.Clock || due.IsZero() {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: max(due.Sub(r.now()), 1), Priority: new(ResyncPriority)}
}

// dueAfter returns when something is due, never if after is 0.
func (r *Reconciler) dueAfter(after time.Duration) time.Time {
	if after == 0 {
		return time.Time{}
	}
	return r.now().Add(after)
}

// resync returns the time to the next resync. It is spread by a tenth, so that they do not come all at once.
func (r *Reconciler) resync() time.Duration {
	resync := r.controller.Resync
	if resync > 0 {
		resync -= time.Duration(rand.Int64N(int64(resync)/10 + 1))
	}
	return resync
}

// Resync looks again at the objects whose resync is due. It returns how many they are, and those to be reconciled: all that
// are not as their last outcome left them.
func (r *Reconciler) Resync(ctx context.Context) (due int, differing []types.NamespacedName) {
	if r.controller.Clock || r.controller.Resync <= 0 {
		return 0, nil
	}
	now := r.now()
	names := r.memory.due(now, func() time.Time { return now.Add(r.resync()) })
	for _, name := range names {
		if !r.unchanged(ctx, name) {
			differing = append(differing, name)
		}
	}
	return len(names), differing
}

// unchanged says whether an object is as its last outcome left it. What cannot be told is for Reconcile to find out.
func (r *Reconciler) unchanged(ctx context.Context, name types.NamespacedName) bool {
	object, err := r.get(ctx, name)
	if err != nil || object == nil {
		return false
	}
	if leaves, err := r.leaves(ctx, object); err != nil || leaves {
		return false
	}
	observed, err := r.gather(ctx, object)
	if err != nil {
		return false
	}
	selections, err := r.resolveAll(ctx, name, r.dependencies.asked(name))
	if err != nil || r.readAll(ctx, observed, selections) != nil {
		return false
	}
	_, converged := r.memory.converged(name, observed.fingerprint(), time.Time{})
	return converged
}
