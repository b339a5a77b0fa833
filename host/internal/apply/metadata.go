package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// Metadata sets labels and annotations on object itself; a nil value removes the key, and keys that are not named are
// left alone. It returns nil if all was so already, otherwise the object as the API server has it now.
func (a *Applier) Metadata(ctx context.Context, object *kube.Object, labels, annotations map[string]*string) (*kube.Object, error) {
	if len(labels) == 0 && len(annotations) == 0 {
		return nil, nil
	}
	hasLabels, hasAnnotations, err := object.LabelsAndAnnotations()
	if err != nil {
		return nil, err
	}
	changes := map[string]any{}
	addChanges(changes, "labels", hasLabels, labels)
	addChanges(changes, "annotations", hasAnnotations, annotations)
	if len(changes) == 0 {
		return nil, nil
	}
	changes["uid"] = object.UID // refused if another object has taken the name
	written, err := a.patchMetadata(ctx, object, changes)
	if err != nil {
		return nil, fmt.Errorf("cannot set labels and annotations of %s: %w", object, err)
	}
	return written, nil
}

// addChanges adds to a merge patch what differs.
func addChanges(patch map[string]any, field string, current map[string]string, wanted map[string]*string) {
	differing := map[string]*string{}
	for key, value := range wanted {
		got, there := current[key]
		if same := there && value != nil && got == *value; !same && (there || value != nil) {
			differing[key] = value
		}
	}
	if len(differing) > 0 {
		patch[field] = differing
	}
}

func (a *Applier) patchMetadata(ctx context.Context, object *kube.Object, changes map[string]any) (*kube.Object, error) {
	patch, err := json.Marshal(map[string]any{"metadata": changes})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the change: %w", err)
	}
	return a.writer.Patch(ctx, object.ID(), patch, kube.Write{Manager: a.manager})
}

// Finalizer is the finalizer of a controller. An object that has it stays until the controller has done what is to be
// done before it goes.
func Finalizer(controller string) string { return FinalizerPrefix + controller }

// FinalizerPrefix is what the host's finalizers begin with.
const FinalizerPrefix = "wasmloop.dev/"

// Hold puts the controller's finalizer on object, if it has it not. It returns nil if it has.
func (a *Applier) Hold(ctx context.Context, object *kube.Object, controller string) (*kube.Object, error) {
	if slices.Contains(object.Finalizers, Finalizer(controller)) {
		return nil, nil
	}
	held, err := a.setFinalizers(ctx, object, append(slices.Clone(object.Finalizers), Finalizer(controller)))
	if err != nil {
		return nil, fmt.Errorf("cannot add the finalizer %s to %s: %w", Finalizer(controller), object, err)
	}
	return held, nil
}

// Release takes the controller's finalizer off object, if it has it. It returns nil if it has not.
func (a *Applier) Release(ctx context.Context, object *kube.Object, controller string) (*kube.Object, error) {
	left := slices.DeleteFunc(slices.Clone(object.Finalizers), func(name string) bool { return name == Finalizer(controller) })
	if len(left) == len(object.Finalizers) {
		return nil, nil
	}
	released, err := a.setFinalizers(ctx, object, left)
	if err != nil {
		return nil, fmt.Errorf("cannot remove the finalizer %s from %s: %w", Finalizer(controller), object, err)
	}
	return released, nil
}

// IsGone asks the API server whether an owner is gone, by a patch that changes nothing: who may put a finalizer on it may do that, too.
func (a *Applier) IsGone(ctx context.Context, owner Owner) (bool, error) {
	object := &kube.Object{Kind: owner.Kind, NamespacedName: owner.NamespacedName}
	_, err := a.patchMetadata(ctx, object, map[string]any{"uid": owner.UID})
	switch {
	case err == nil:
		return false, nil
	case IsReplaced(err), saysNotFound(err, owner.Name):
		return true, nil
	}
	return false, fmt.Errorf("cannot find out whether %s is gone: %w", object, err)
}

// saysNotFound says whether an API server has looked for an object of this name and has not found it. It also says "not found" of what
// it does not serve (any more, or yet), without a name, and so may what is between it and us.
func saysNotFound(err error, name string) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return status.Status().Details.Name == name && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// setFinalizers replaces the whole list, so that it must still be the one that was seen.
func (a *Applier) setFinalizers(ctx context.Context, object *kube.Object, finalizers []string) (*kube.Object, error) {
	return a.patchMetadata(ctx, object, map[string]any{
		"uid": object.UID, "resourceVersion": object.ResourceVersion, "finalizers": finalizers,
	})
}

// letGo takes from a child what makes it owner's.
func (a *Applier) letGo(ctx context.Context, owner Owner, child *kube.Object) (*kube.Object, error) {
	changes := map[string]any{
		"uid": child.UID, "resourceVersion": child.ResourceVersion,
		"annotations": map[string]any{AnnotationOwnedBy: nil, AnnotationApplied: nil},
	}
	if owner.refers(child) {
		references, err := otherReferences(child, owner)
		if err != nil {
			return nil, err
		}
		changes["ownerReferences"] = references
	}
	return a.patchMetadata(ctx, child, changes)
}

// otherReferences returns the owner references of child but the one to owner, with all their fields.
func otherReferences(child *kube.Object, owner Owner) ([]any, error) {
	metadata, err := child.Field("metadata")
	if err != nil {
		return nil, err
	}
	fields, _ := metadata.(map[string]any)
	references, _ := fields["ownerReferences"].([]any)
	others := slices.Clone(references)
	return slices.DeleteFunc(others, func(item any) bool {
		reference, _ := item.(map[string]any)
		return reference["uid"] == string(owner.UID)
	}), nil
}
