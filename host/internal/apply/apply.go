// Package apply makes desired objects so on an API server: server-side apply, order, ownership and pruning. It never
// takes over or deletes an object that it cannot prove to be its own.
package apply

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// Reader reads from a cache of the kinds that are applied. It returns nil for an object that is not there.
type Reader interface {
	Get(ctx context.Context, id kube.ID) (*kube.Object, error)
}

// Writer writes to the API server. *kube.Client is one, and says what the methods do.
type Writer interface {
	Apply(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error)
	Patch(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error)
	Delete(ctx context.Context, object *kube.Object) error
	TryCreate(ctx context.Context, id kube.ID, body []byte, write kube.Write) error
}

// Applier writes on behalf of one controller. It is safe for concurrent use.
type Applier struct {
	reader  Reader
	writer  Writer
	manager string
	options Options

	mu        sync.Mutex
	recreated map[kube.ID]recreation
}

// Options are the optional settings of an Applier.
type Options struct {
	// Adopt lets Apply take over existing objects that nobody controls.
	Adopt bool
	// MaxPrune is the most objects that one call of Prune deletes. 0: no bound.
	MaxPrune int
	// Kinds say how the children of a kind are kept, where it is not the usual way.
	Kinds map[schema.GroupVersionKind]KindOptions
}

// KindOptions say how the children of a kind are kept.
type KindOptions struct {
	// Strategy says how a child is changed. Default InPlace.
	Strategy Strategy
	// Orphan leaves a child behind that is no longer wanted, or whose owner is gone: it is not deleted, but let go.
	Orphan bool
	// NotController makes the owner reference of a child one that does not say that the owner is its controller.
	NotController bool
}

// Strategy says how a child that differs from what is wanted is made so.
type Strategy string

// The strategies.
const (
	// InPlace changes the child.
	InPlace Strategy = "InPlace"
	// Recreate changes the child, and where that is impossible since a field is immutable, deletes it and makes it anew.
	Recreate Strategy = "Recreate"
	// OnDelete makes the child anew when somebody has deleted it, and leaves it as it is until then.
	OnDelete Strategy = "OnDelete"
)

// New returns an Applier for the controller of this name.
func New(controller string, reader Reader, writer Writer, options Options) *Applier {
	return &Applier{
		reader: reader, writer: writer, manager: FieldManager(controller), options: options, recreated: map[kube.ID]recreation{},
	}
}

// Action is what was done about an object.
type Action string

// The actions.
const (
	Unchanged Action = "unchanged"
	Created   Action = "created"
	Applied   Action = "applied"
	Deleted   Action = "deleted"
	// LetGo: the object was left behind, and is nobody's now.
	LetGo Action = "let go"
	// Waiting: the object is being deleted; it is made again when it is gone.
	Waiting Action = "waiting"
	Failed  Action = "failed"
)

// Change is what was done about one object, and why it could not be done.
type Change struct {
	// ID names the object.
	ID     kube.ID
	Action Action
	// Object is the object as the API server has it after a write, or before its deletion; nil if there was no write.
	Object *kube.Object
	// Err is set if and only if Action is Failed.
	Err error
}

// Apply makes each of the desired objects exist for owner, in the order that Sort gives them. One that fails does not
// keep the others from being applied. It takes desired over.
func (a *Applier) Apply(ctx context.Context, owner Owner, desired []*unstructured.Unstructured) []Change {
	Sort(desired)
	changes := make([]Change, 0, len(desired))
	for _, object := range desired {
		change := Change{ID: idOf(object)}
		change.Object, change.Action, change.Err = a.applyOne(ctx, owner, change.ID, object)
		if change.Err != nil {
			change.Action, change.Err = Failed, fmt.Errorf("cannot apply %s: %w", change.ID, change.Err)
		}
		changes = append(changes, change)
	}
	return changes
}

func idOf(object *unstructured.Unstructured) kube.ID {
	return kube.ID{
		GroupVersionKind: object.GroupVersionKind(),
		NamespacedName:   types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()},
	}
}

func (a *Applier) applyOne(ctx context.Context, owner Owner, id kube.ID, desired *unstructured.Unstructured) (*kube.Object, Action, error) {
	existing, err := a.reader.Get(ctx, id)
	if err != nil {
		return nil, Failed, err
	}
	if existing != nil {
		if err := a.mayApply(owner, existing); err != nil {
			return nil, Failed, err
		}
		if existing.Deleting {
			return nil, Waiting, nil
		}
	}
	kind := a.options.Kinds[id.GroupVersionKind]
	strategy := kind.Strategy
	if existing != nil && !owner.Owns(existing, kind) {
		strategy = InPlace // what is taken over, or not proven to be ours, is not deleted
	}
	if existing != nil && strategy == OnDelete {
		return nil, Unchanged, nil
	}
	body, err := owner.stamp(id, desired, kind)
	if err != nil {
		return nil, Failed, err
	}
	if existing != nil && existing.Mark(AnnotationApplied) == body.hash {
		held, err := a.holds(existing, desired)
		if held || err != nil {
			return nil, Unchanged, err
		}
	}
	if existing == nil {
		created, err := a.writer.Apply(ctx, id, body.create(), kube.Write{Manager: a.manager})
		return created, Created, err
	}
	return a.change(ctx, existing, desired, body, strategy)
}

// change makes an existing child what is desired.
func (a *Applier) change(ctx context.Context, existing *kube.Object, desired *unstructured.Unstructured, body *stamped, strategy Strategy) (*kube.Object, Action, error) {
	if dropEmptied(existing.ManagedFields(a.manager, ""), desired.Object) {
		if err := body.encode(desired); err != nil {
			return nil, Failed, err
		}
	}
	applied, err := a.writer.Apply(ctx, existing.ID(), body.update(existing), kube.Write{Manager: a.manager})
	if strategy == Recreate && isImmutable(err) {
		return a.recreate(ctx, existing, desired, body.hash, err)
	}
	return applied, Applied, err
}

// mayApply refuses objects that are not the owner's.
func (a *Applier) mayApply(owner Owner, existing *kube.Object) error {
	switch holder := owner.holder(existing, a.manager); holder.kind {
	case heldByOwner:
		return nil
	case heldByNobody:
		if a.options.Adopt {
			return nil
		}
		return &RefusedError{Holder: "nobody", Advice: "delete it, or set adopt: true in the controller's config"}
	default:
		return &RefusedError{Holder: holder.name, Advice: holder.advice}
	}
}

// holds says whether our own Apply entry in the managedFields of existing still covers all of desired, so that nobody
// has changed any of it. What existing has matters only for lists that are to be empty, since nobody owns those.
func (a *Applier) holds(existing *kube.Object, desired *unstructured.Unstructured) (bool, error) {
	fields := existing.ManagedFields(a.manager, "")
	if fields == nil {
		return false, nil
	}
	wanted := appliedFields(desired)
	var current map[string]any
	if hasEmptyList(wanted) {
		var err error
		if current, err = existing.Decode(); err != nil {
			return false, err
		}
	}
	return covers(fields, current, wanted), nil
}

// RefusedError says that an object exists already and may not be taken over.
type RefusedError struct {
	// Holder says whose it is.
	Holder string
	// Advice says what to do.
	Advice string
}

// Error says whose the object is and what to do.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("it exists already and belongs to %s: %s", e.Holder, e.Advice)
}
