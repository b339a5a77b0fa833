package apply

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PruneLimitError says that nothing was pruned because too much would have been.
type PruneLimitError struct{ Wanted, Limit int }

// Error says how many objects were to be pruned, and what to do.
func (e *PruneLimitError) Error() string {
	return fmt.Sprintf("%d children would be pruned and prune.maxPerReconcile allows %d: nothing was pruned; raise the limit if this is right",
		e.Wanted, e.Limit)
}

// Prune deletes those of the observed objects that are proven to be owner's, for which keep is false, and that are not
// being deleted already, in the reverse of the order of applying. Each is deleted only if it is still as it was
// observed. More than the limit: none is deleted, and the error is a *PruneLimitError.
func (a *Applier) Prune(ctx context.Context, owner Owner, observed []*unstructured.Unstructured, keep func(*unstructured.Unstructured) bool) ([]Change, error) {
	doomed := slices.DeleteFunc(slices.Clone(observed), func(object *unstructured.Unstructured) bool {
		return !owner.Owns(object) || object.GetDeletionTimestamp() != nil || keep(object)
	})
	if limit := a.options.MaxPrune; limit > 0 && len(doomed) > limit {
		return nil, &PruneLimitError{len(doomed), limit}
	}
	Sort(doomed)
	slices.Reverse(doomed)
	changes := make([]Change, 0, len(doomed))
	for _, object := range doomed {
		change := Change{Subject: SubjectOf(object), Action: Deleted, Object: object}
		if err := a.delete(ctx, object); err != nil {
			change.Action, change.Err = Failed, fmt.Errorf("cannot delete %s: %w", change.Subject, err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func (a *Applier) delete(ctx context.Context, object *unstructured.Unstructured) error {
	err := a.writer.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{
		UID:             new(object.GetUID()),
		ResourceVersion: new(object.GetResourceVersion()),
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
