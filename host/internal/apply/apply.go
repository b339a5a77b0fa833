// Package apply makes desired objects so on an API server: server-side apply, order, ownership and pruning. It never
// takes over or deletes an object that it cannot prove to be its own.
package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// createOnly is a resourceVersion that no existing object has. The API server creates the object of an apply that
// carries it, or answers with a conflict if there is one by that name after all, whatever a stale cache said.
const createOnly = "1"

// Applier writes on behalf of one controller. It is safe for concurrent use.
type Applier struct {
	reader  client.Reader
	writer  client.Client
	manager string
	options Options
}

// Options are the optional settings of an Applier.
type Options struct {
	// Adopt lets Apply take over existing objects that nobody controls.
	Adopt bool
	// MaxPrune is the most objects that one call of Prune deletes. 0: no bound.
	MaxPrune int
}

// New returns an Applier for the controller of this name. reader is a cache of the kinds that are applied; nothing that
// it returns is changed. writer writes to the API server, and is never read from.
func New(controller string, reader client.Reader, writer client.Client, options Options) *Applier {
	return &Applier{reader: reader, writer: writer, manager: FieldManager(controller), options: options}
}

// Action is what was done about an object.
type Action string

// The actions.
const (
	Unchanged Action = "unchanged"
	Created   Action = "created"
	Applied   Action = "applied"
	Deleted   Action = "deleted"
	// Waiting: the object is being deleted; it is made again when it is gone.
	Waiting Action = "waiting"
	Failed  Action = "failed"
)

// Change is what was done about one object, and why it could not be done.
type Change struct {
	// Subject names the object.
	Subject Subject
	Action  Action
	// Object is the object as the API server has it after a write; nil if there was no write.
	Object *unstructured.Unstructured
	// Err is set if and only if Action is Failed.
	Err error
}

// Apply makes each of the desired objects exist for owner, in the order that Sort gives them. One that fails does not
// keep the others from being applied. It takes desired over.
func (a *Applier) Apply(ctx context.Context, owner Owner, desired []*unstructured.Unstructured) []Change {
	Sort(desired)
	changes := make([]Change, 0, len(desired))
	for _, object := range desired {
		change := Change{Subject: SubjectOf(object)}
		change.Object, change.Action, change.Err = a.applyOne(ctx, owner, object)
		if change.Err != nil {
			change.Action, change.Err = Failed, fmt.Errorf("cannot apply %s: %w", change.Subject, change.Err)
		}
		changes = append(changes, change)
	}
	return changes
}

func (a *Applier) applyOne(ctx context.Context, owner Owner, desired *unstructured.Unstructured) (*unstructured.Unstructured, Action, error) {
	existing, err := a.lookUp(ctx, desired)
	if err != nil {
		return nil, Failed, err
	}
	if existing != nil {
		if err := a.mayApply(owner, existing); err != nil {
			return nil, Failed, err
		}
		if existing.GetDeletionTimestamp() != nil {
			return nil, Waiting, nil
		}
	}
	hash, err := owner.stamp(desired)
	if err != nil {
		return nil, Failed, err
	}
	if existing != nil && existing.GetAnnotations()[AnnotationApplied] == hash && a.holds(existing, desired) {
		return nil, Unchanged, nil
	}
	action := Applied
	if existing != nil {
		dropEmptied(managedFields(existing, a.manager, ""), desired.Object)
		desired.SetUID(existing.GetUID()) // if it was replaced meanwhile, this is refused
	} else {
		desired.SetResourceVersion(createOnly)
		action = Created
	}
	err = a.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired), client.FieldOwner(a.manager), client.ForceOwnership)
	return desired, action, err
}

// lookUp returns the object of desired's kind and name from the cache, nil if there is none.
func (a *Applier) lookUp(ctx context.Context, desired *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(desired.GroupVersionKind())
	err := a.reader.Get(ctx, client.ObjectKeyFromObject(desired), existing)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return existing, err
}

// mayApply refuses objects that are not the owner's.
func (a *Applier) mayApply(owner Owner, existing *unstructured.Unstructured) error {
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
// has changed any of it.
func (a *Applier) holds(existing, desired *unstructured.Unstructured) bool {
	fields := managedFields(existing, a.manager, "")
	return covers(fields, existing.Object, appliedFields(desired))
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

// Subject names an object in messages.
type Subject struct {
	Kind string
	types.NamespacedName
}

// SubjectOf returns what names object.
func SubjectOf(object client.Object) Subject {
	return Subject{object.GetObjectKind().GroupVersionKind().Kind, client.ObjectKeyFromObject(object)}
}

// String returns "Kind namespace/name", or "Kind name" for a cluster-scoped object.
func (s Subject) String() string {
	if s.Namespace == "" {
		return s.Kind + " " + s.Name
	}
	return s.Kind + " " + s.Namespace + "/" + s.Name
}
