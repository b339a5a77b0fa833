package apiserver

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// prepareCreate sets what a client has no say in when an object is created.
func (k *kind) prepareCreate(object *unstructured.Unstructured) {
	if k.status {
		restore(object, &unstructured.Unstructured{Object: k.blank}, "status")
	}
	if k.generation {
		object.SetGeneration(1)
	}
	if k.GroupKind() == namespaceKind {
		prepareNamespace(object)
	}
}

// prepareNamespace does what a namespace is born with.
func prepareNamespace(object *unstructured.Unstructured) {
	object.Object["spec"] = map[string]any{"finalizers": []any{"kubernetes"}}
	object.Object["status"] = map[string]any{"phase": "Active"}
	labelNamespace(object.Object)
}

// prepareUpdate takes back what a client has no say in when an object is changed, and counts the change.
func (k *kind) prepareUpdate(object, live *unstructured.Unstructured, subresource string) {
	if subresource == "status" {
		k.takeStatus(object, live)
	} else if k.status {
		restore(object, live, "status")
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	was, _ := live.Object["metadata"].(map[string]any)
	for _, name := range []string{"uid", "deletionGracePeriodSeconds"} {
		if value, there := was[name]; there && metadata[name] == nil {
			metadata[name] = value
		}
	}
	for _, name := range []string{"creationTimestamp", "deletionTimestamp"} {
		if value, there := was[name]; there {
			metadata[name] = value
		}
	}
	object.SetGeneration(live.GetGeneration())
	if k.generation && k.counts(object, live) {
		object.SetGeneration(live.GetGeneration() + 1)
	}
}

// shallow returns a copy of a stored object whose fields, and those of its metadata, can be replaced, and nothing below them changed.
func shallow(stored *unstructured.Unstructured) *unstructured.Unstructured {
	copied := &unstructured.Unstructured{Object: maps.Clone(stored.Object)}
	if metadata, ok := copied.Object["metadata"].(map[string]any); ok {
		copied.Object["metadata"] = maps.Clone(metadata)
	}
	return copied
}

// takeStatus leaves of a change only that of the status.
func (k *kind) takeStatus(object, live *unstructured.Unstructured) {
	status, there := object.Object["status"]
	entries := managedEntries(object)
	object.Object = shallow(live).Object
	if there {
		object.Object["status"] = status
	} else {
		delete(object.Object, "status")
	}
	list := make([]any, len(entries))
	for i, entry := range entries {
		list[i] = entry
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	metadata["managedFields"] = list
}

// counts says whether a change is one of what a generation counts.
func (k *kind) counts(object, live *unstructured.Unstructured) bool {
	if !isSame(k.counted(object), k.counted(live)) {
		return true
	}
	annotated := k.GroupKind() == deploymentKind // its rollouts are also told apart by annotations
	return annotated && !isSame(object.GetAnnotations(), live.GetAnnotations())
}

func (k *kind) counted(object *unstructured.Unstructured) map[string]any {
	fields := maps.Clone(object.Object)
	delete(fields, "metadata")
	if k.status {
		delete(fields, "status")
	}
	return fields
}

// restore gives a field the value that another object has there.
func restore(object, from *unstructured.Unstructured, name string) {
	if value, there := from.Object[name]; there {
		object.Object[name] = runtime.DeepCopyJSONValue(value)
	} else {
		delete(object.Object, name)
	}
}

// validateAll says what is wrong with an object's metadata, and with the rest of it.
func (k *kind) validateAll(object, old *unstructured.Unstructured, subresource string) field.ErrorList {
	var was map[string]any
	if old != nil {
		was = old.Object
	}
	return append(k.validateMetadata(object, old, subresource), k.validate(object.Object, was, subresource)...)
}

func (k *kind) validateMetadata(object, old *unstructured.Unstructured, subresource string) field.ErrorList {
	path := field.NewPath("metadata")
	if subresource == "status" && old != nil { // all else is as it was: takeStatus has seen to that
		return metav1validation.ValidateManagedFields(accessor{object}.GetManagedFields(), path.Child("managedFields"))
	}
	errs := validation.ValidateObjectMetaAccessor(accessor{object}, k.namespaced, k.name, path)
	if old != nil {
		errs = append(errs, validation.ValidateObjectMetaAccessorUpdate(accessor{object}, accessor{old}, path)...)
	}
	return errs
}

// accessor has the metadata of an object as validation looks at them: without what managedFields say of fields, which takes long to
// decode.
type accessor struct{ *unstructured.Unstructured }

// GetManagedFields implements metav1.Object.
func (a accessor) GetManagedFields() []metav1.ManagedFieldsEntry {
	entries := managedEntries(a.Unstructured)
	list := make([]metav1.ManagedFieldsEntry, len(entries))
	for i, entry := range entries {
		text := func(name string) string { value, _ := entry[name].(string); return value }
		list[i] = metav1.ManagedFieldsEntry{
			Manager: text("manager"), Operation: metav1.ManagedFieldsOperationType(text("operation")), APIVersion: text("apiVersion"),
			FieldsType: text("fieldsType"), Subresource: text("subresource"),
		}
	}
	return list
}
