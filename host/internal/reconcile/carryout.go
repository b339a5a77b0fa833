package reconcile

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// carryOut applies an answer: children first, then what is left over is pruned, then the object itself is written.
func (r *Reconciler) carryOut(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) *fault {
	if response.Children != nil {
		if fault := r.applyChildren(ctx, name, observed, response); fault != nil {
			return fault
		}
	}
	return r.writeObject(ctx, name, observed.object, response)
}

// applyChildren applies all children, and prunes only if each of them could be applied.
func (r *Reconciler) applyChildren(ctx context.Context, name types.NamespacedName, observed *observation, response *abi.Response) *fault {
	owner := apply.OwnerOf(r.controller.Name, observed.object)
	desired := make([]*unstructured.Unstructured, len(response.Children))
	wanted := make(map[objectKey]bool, len(desired)+len(response.Keep))
	for i, child := range response.Children {
		desired[i] = &unstructured.Unstructured{Object: child}
		wanted[keyOf(desired[i])] = true
	}
	for _, kept := range response.Keep {
		wanted[keyOfReference(kept, name.Namespace)] = true
	}
	changes := r.applier.Apply(ctx, owner, desired)
	if err := r.note(ctx, name, changes); err != nil {
		return faultOf(reasonApplyFailed, err)
	}
	pruned, err := r.applier.Prune(ctx, owner, observed.children, func(child *unstructured.Unstructured) bool {
		return wanted[keyOf(child)]
	})
	if err := errors.Join(err, r.note(ctx, name, pruned)); err != nil {
		return faultOf(reasonPruneFailed, err)
	}
	return nil
}

// note logs changes, remembers the writes until the cache shows them, and joins their errors.
func (r *Reconciler) note(ctx context.Context, name types.NamespacedName, changes []apply.Change) error {
	log := logr.FromContextOrDiscard(ctx)
	var errs []error
	for _, change := range changes {
		switch change.Action {
		case apply.Failed:
			errs = append(errs, change.Err)
			continue
		case apply.Unchanged:
			continue
		case apply.Deleted:
			r.memory.deleted(name, change.Object)
		case apply.Created, apply.Applied:
			r.memory.wrote(name, change.Object, change.Action == apply.Created)
		case apply.Waiting: // its going wakes the object
		}
		log.Info("child "+string(change.Action), "child", change.Subject.String())
	}
	return errors.Join(errs...)
}

// writeObject writes what the answer says of the object itself.
func (r *Reconciler) writeObject(ctx context.Context, name types.NamespacedName, object *unstructured.Unstructured, response *abi.Response) *fault {
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

func faultOf(reason string, err error) *fault {
	return &fault{reason: reason, err: err, conflict: isConflict(err)}
}

// isConflict says whether err is a conflict, or joins nothing but conflicts.
func isConflict(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return apierrors.IsConflict(err)
	}
	for _, err := range joined.Unwrap() {
		if !isConflict(err) {
			return false
		}
	}
	return true
}
