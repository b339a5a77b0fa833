package apply

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Metadata sets labels and annotations on object itself; a nil value removes the key, and keys that are not named are
// left alone. It returns nil if all was so already, otherwise the object as the API server has it now.
func (a *Applier) Metadata(ctx context.Context, object *unstructured.Unstructured, labels, annotations map[string]*string) (*unstructured.Unstructured, error) {
	changes := map[string]any{}
	addChanges(changes, "labels", object.GetLabels(), labels)
	addChanges(changes, "annotations", object.GetAnnotations(), annotations)
	if len(changes) == 0 {
		return nil, nil
	}
	changes["uid"] = object.GetUID() // refused if another object has taken the name
	patch, err := json.Marshal(map[string]any{"metadata": changes})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the labels and annotations of %s: %w", SubjectOf(object), err)
	}
	result := identify(object)
	if err := a.writer.Patch(ctx, result, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(a.manager)); err != nil {
		return nil, fmt.Errorf("cannot set labels and annotations of %s: %w", SubjectOf(object), err)
	}
	return result, nil
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
