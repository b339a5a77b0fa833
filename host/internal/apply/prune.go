package apply

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// PruneLimitError says that nothing was pruned because too much would have been.
type PruneLimitError struct{ Wanted, Limit int }

// Error says how many objects were to be pruned, and what to do.
func (e *PruneLimitError) Error() string {
	return fmt.Sprintf("%d children would be pruned and prune.maxPerReconcile allows %d: nothing was pruned; raise the limit if this is right",
		e.Wanted, e.Limit)
}

// Prune deletes those of the observed objects that are proven to be owner's, for which keep is false, and that are not
// being deleted already, in the reverse of the order of applying; those of a kind that is to be left behind are let go
// instead. Each is touched only if it is still as it was observed. More deletions than the limit: nothing is done, and
// the error is a *PruneLimitError.
func (a *Applier) Prune(ctx context.Context, owner Owner, observed []*kube.Object, keep func(*kube.Object) bool) ([]Change, error) {
	doomed := slices.DeleteFunc(slices.Clone(observed), func(object *kube.Object) bool {
		return !owner.Owns(object, a.options.Kinds[object.Kind]) || object.Deleting || keep(object)
	})
	if limit := a.options.MaxPrune; limit > 0 && a.deletions(doomed) > limit {
		return nil, &PruneLimitError{a.deletions(doomed), limit}
	}
	return a.remove(ctx, owner, doomed), nil
}

// deletions counts the objects that would be deleted rather than let go.
func (a *Applier) deletions(doomed []*kube.Object) (n int) {
	for _, object := range doomed {
		if !a.options.Kinds[object.Kind].Orphan {
			n++
		}
	}
	return n
}

func (a *Applier) remove(ctx context.Context, owner Owner, doomed []*kube.Object) []Change {
	sortObjects(doomed)
	slices.Reverse(doomed)
	changes := make([]Change, 0, len(doomed))
	for _, object := range doomed {
		change := Change{ID: object.ID(), Action: Deleted, Object: object}
		if a.options.Kinds[object.Kind].Orphan {
			change.Action = LetGo
			change.Object, change.Err = a.letGo(ctx, owner, object)
		} else {
			change.Err = a.delete(ctx, object)
		}
		if change.Err != nil {
			change.Err = fmt.Errorf("cannot prune %s: %w", change.ID, change.Err)
			change.Action = Failed
		}
		changes = append(changes, change)
	}
	return changes
}

// Remove deletes what of the observed children would stay when the owner goes, since they have no owner reference and are
// not to be left behind. Those that are being deleted already are counted in left, too.
func (a *Applier) Remove(ctx context.Context, owner Owner, observed []*kube.Object) (left int, changes []Change) {
	staying := a.Staying(owner, observed)
	doomed := slices.DeleteFunc(slices.Clone(staying), func(object *kube.Object) bool { return object.Deleting })
	return len(staying), a.remove(ctx, owner, doomed)
}

// Staying returns what of the observed children would stay when the owner goes, since they have no owner reference and are not to be
// left behind.
func (a *Applier) Staying(owner Owner, observed []*kube.Object) []*kube.Object {
	return slices.DeleteFunc(slices.Clone(observed), func(object *kube.Object) bool {
		kind := a.options.Kinds[object.Kind]
		return kind.Orphan || !owner.Owns(object, kind) || owner.refers(object)
	})
}

func (a *Applier) delete(ctx context.Context, object *kube.Object) error {
	err := a.writer.Delete(ctx, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
