package apiserver

import (
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// identity are the fields of an object that nobody owns. They are those that Kubernetes' field manager leaves out.
var identity = fieldpath.NewSet(
	fieldpath.MakePathOrDie("apiVersion"),
	fieldpath.MakePathOrDie("kind"),
	fieldpath.MakePathOrDie("metadata"),
	fieldpath.MakePathOrDie("metadata", "name"),
	fieldpath.MakePathOrDie("metadata", "namespace"),
	fieldpath.MakePathOrDie("metadata", "creationTimestamp"),
	fieldpath.MakePathOrDie("metadata", "selfLink"),
	fieldpath.MakePathOrDie("metadata", "uid"),
	fieldpath.MakePathOrDie("metadata", "clusterName"),
	fieldpath.MakePathOrDie("metadata", "generation"),
	fieldpath.MakePathOrDie("metadata", "managedFields"),
	fieldpath.MakePathOrDie("metadata", "resourceVersion"),
)

// kubectl is the field manager whose applies also keep an annotation.
const kubectl = "kubectl"

// applyNew makes of what was applied the object that it creates, as the field manager does, which compares it with an empty
// object again and again: where nothing was, what was applied is all there is, and its manager owns all of it. It returns nil
// where the field manager has more to do or to say. A test holds the two against each other.
func (w *write) applyNew() *unstructured.Unstructured {
	sent := w.request.Object
	if sent.GroupVersionKind() != w.kind.GroupVersionKind || sent.GetManagedFields() != nil || w.request.Manager == kubectl {
		return nil
	}
	object := sent.DeepCopy()
	fields, err := w.ownedFields(object)
	if err != nil {
		return nil // the field manager says it better
	}
	if fields == nil {
		return object
	}
	entry := map[string]any{
		"manager": w.request.Manager, "operation": "Apply", "apiVersion": w.kind.GroupVersion().String(),
		"time": w.server.options.Now().UTC().Format(time.RFC3339), "fieldsType": "FieldsV1", "fieldsV1": fields,
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	metadata["managedFields"] = []any{entry}
	return object
}

// ownedFields returns the fields that whoever applies an object owns, nil if there are none.
func (w *write) ownedFields(object *unstructured.Unstructured) (fields map[string]any, err error) {
	typed, err := w.kind.types().ObjectToTyped(object)
	if err != nil {
		return nil, err
	}
	set, err := typed.ToFieldSet()
	if err != nil {
		return nil, err
	}
	if w.kind.filter != nil {
		set = w.kind.filter.Filter(set)
	}
	if set = set.Difference(identity); set.Empty() {
		return nil, nil
	}
	encoded, err := set.ToJSON()
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(encoded, &fields)
}
