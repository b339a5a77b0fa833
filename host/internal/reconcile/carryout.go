package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// carryOut applies an answer: children first, then what is left over is pruned, then the object itself is written.
func (r *Reconciler) carryOut(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) *fault {
	r.memory.accept(name)
	if err := r.releaseFromChildren(ctx, name, observed, response); err != nil {
		return faultOf(reasonApplyFailed, err)
	}
	if response.Children != nil {
		if fault := r.carryOutChildren(ctx, name, observed, response); fault != nil {
			return fault
		}
	}
	return r.writeObject(ctx, name, observed.object, response)
}

// carryOutChildren applies all children, and prunes only if each of them could be applied. With the last answer for an
// object nothing is applied: what is made while it is let go would stay behind.
func (r *Reconciler) carryOutChildren(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) *fault {
	r.memory.leave(name, sum{})
	var applied []apply.Change
	last := observed.finalizing && response.Finalized
	if !last {
		var fault *fault
		if applied, fault = r.applyChildren(ctx, name, observed, response); fault != nil {
			return fault
		}
	}
	pruned, err := r.prune(ctx, observed, response)
	r.controller.Tally.Pruned(countOf(pruned, apply.Deleted))
	if err := errors.Join(err, r.note(ctx, name, pruned)); err != nil {
		return faultOf(reasonPruneFailed, err)
	}
	if !last {
		r.memory.leave(name, observed.leftAfter(applied, pruned))
	}
	return nil
}

// prune deletes the children that an answer neither wants nor keeps.
func (r *Reconciler) prune(ctx context.Context, observed *observation, response *abi.Response) ([]apply.Change, error) {
	ids := make([]kube.ID, 0, len(response.Children)+len(response.Keep))
	for _, child := range response.Children {
		ids = append(ids, idOf(child.Reference()))
	}
	for _, kept := range response.Keep {
		ids = append(ids, r.idOfKept(kept, observed.object.Namespace))
	}
	return r.applier.Prune(ctx, apply.OwnerOf(r.controller.Name, observed.object), observed.children, func(child *kube.Object) bool {
		return slices.Contains(ids, child.ID())
	})
}

func countOf(changes []apply.Change, action apply.Action) (count int) {
	for _, change := range changes {
		if change.Action == action {
			count++
		}
	}
	return count
}

// applyChildren applies all children.
func (r *Reconciler) applyChildren(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) ([]apply.Change, *fault) {
	desired := make([]*unstructured.Unstructured, len(response.Children))
	for i, child := range response.Children {
		desired[i] = &unstructured.Unstructured{Object: child}
	}
	changes := r.applier.Apply(ctx, apply.OwnerOf(r.controller.Name, observed.object), desired)
	if err := r.note(ctx, name, changes); err != nil {
		return nil, faultOf(reasonApplyFailed, err)
	}
	for _, change := range changes {
		if change.Action == apply.Waiting && !observed.has(change.ID) {
			r.memory.refused(name, change.ID)
		}
	}
	return changes, nil
}

func idOf(named abi.Reference) kube.ID {
	return kube.ID{
		GroupVersionKind: schema.FromAPIVersionAndKind(named.APIVersion, named.Kind),
		NamespacedName:   types.NamespacedName{Namespace: named.Namespace, Name: named.Name},
	}
}

// idOfKept returns the child that a reference names, which is in the object's namespace if it names none.
func (r *Reconciler) idOfKept(kept abi.Reference, namespace string) kube.ID {
	if kind, err := r.owned(kept); err == nil && kind.Namespaced && kept.Namespace == "" {
		kept.Namespace = namespace
	}
	return idOf(kept)
}

// note logs changes, remembers the writes until the cache shows them, and joins their errors.
func (r *Reconciler) note(ctx context.Context, name types.NamespacedName, changes []apply.Change) error {
	log := logr.FromContextOrDiscard(ctx)
	var errs []error
	for _, change := range changes {
		r.memory.sure(name, change.ID)
		switch change.Action {
		case apply.Failed:
			if r.inDoubt(ctx, change) {
				r.memory.doubt(name, change.ID, time.Now().Add(cacheTimeout))
			}
			if _, refused := errors.AsType[*apply.RefusedError](change.Err); refused {
				r.memory.refused(name, change.ID)
			}
			errs = append(errs, change.Err)
			continue
		case apply.Unchanged:
			continue
		case apply.Deleted:
			r.memory.deleted(name, change.Object)
		case apply.Created, apply.Applied, apply.LetGo:
			r.memory.wrote(name, change.Object, change.Action == apply.Created)
		case apply.Waiting: // its going wakes the object
		}
		log.Info("child "+string(change.Action), "child", change.ID.String())
	}
	return errors.Join(errs...)
}

// writeObject writes what the answer says of the object itself.
func (r *Reconciler) writeObject(ctx context.Context, name types.NamespacedName, object *kube.Object, response *abi.Response) *fault {
	if response.Status == nil && len(response.Labels)+len(response.Annotations) == 0 {
		return nil
	}
	object, err := r.whole(ctx, object)
	if err != nil {
		return faultOf(reasonApplyFailed, err)
	}
	if response.Status != nil {
		options := r.controller.For.Status
		options.Now = r.now()
		written, err := r.applier.Status(ctx, object, response.Status, options)
		if err != nil {
			return faultOf(reasonStatusFailed, err)
		}
		r.memory.wrote(name, written, false)
	}
	written, err := r.applier.Metadata(ctx, object, response.Labels, response.Annotations)
	if err != nil {
		return faultOf(reasonApplyFailed, err)
	}
	r.memory.wrote(name, written, false)
	return nil
}

// whole returns an object with all its fields, of which the cache may have but some.
func (r *Reconciler) whole(ctx context.Context, object *kube.Object) (*kube.Object, error) {
	if r.controller.Live == nil {
		return object, nil
	}
	live, err := r.controller.Live(ctx, object.ID())
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", object, err)
	}
	if live.UID != object.UID {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: object.Kind.Group, Resource: object.Kind.Kind}, object.Name, errReplaced)
	}
	live.Generation = object.Generation // a status is that of the generation which the module has seen
	return live, nil
}

var errReplaced = errors.New("another object has its name now")

func faultOf(reason string, err error) *fault {
	return &fault{reason: reason, err: err, conflict: isConflict(err)}
}

// isConflict says whether err is a conflict, or joins nothing but conflicts.
func isConflict(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return apierrors.IsConflict(err) || apply.IsReplaced(err)
	}
	for _, err := range joined.Unwrap() {
		if !isConflict(err) {
			return false
		}
	}
	return true
}
