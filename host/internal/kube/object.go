// Package kube reads, watches and writes objects of any kind as the JSON that they travel as. Of an object just the few
// fields are decoded that the host itself reads; the rest is kept as bytes, which take a fraction of the memory of a
// decoded object and can be handed to a module as they are.
package kube

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Object is an object of a cluster. It is shared and must not be changed.
type Object struct {
	// Kind is the object's kind.
	Kind schema.GroupVersionKind
	types.NamespacedName
	UID             types.UID
	ResourceVersion string
	// Generation is counted up by the API server with each change of the spec.
	Generation int64
	// Deleting is true once the object's deletion was asked for.
	Deleting   bool
	Finalizers []string
	Owners     []Owner
	// JSON is the object as modules see it: without resourceVersion and managedFields, which change though nothing that
	// matters does, and without the host's own annotations.
	JSON []byte

	// marks are the host's own annotations, entries the host's own entries of managedFields.
	marks   []mark
	entries []entry
}

// Owner is an owner reference.
type Owner struct {
	APIVersion, Kind, Name string
	UID                    types.UID
	Controller             bool
}

type mark struct{ key, value string }

// entry is what a field manager owns by Apply, as managedFields has it.
type entry struct {
	manager     string
	subresource string
	fields      []byte
}

// Mark returns the value of one of the host's own annotations, whose key begins with abi.HostPrefix; empty if there is
// none.
func (o *Object) Mark(key string) string {
	for _, mark := range o.marks {
		if mark.key == key {
			return mark.value
		}
	}
	return ""
}

// Controller returns the owner that controls the object, nil if none does.
func (o *Object) Controller() *Owner {
	for i := range o.Owners {
		if o.Owners[i].Controller {
			return &o.Owners[i]
		}
	}
	return nil
}

// Manages says whether a field manager, whose name begins with ManagerPrefix, owns anything by Apply through a
// subresource ("" for the object itself).
func (o *Object) Manages(manager, subresource string) bool {
	return o.managedFields(manager, subresource) != nil
}

// ManagedFields returns the fields that a manager owns by Apply through a subresource, as fieldsV1 has them; nil if there
// are none.
func (o *Object) ManagedFields(manager, subresource string) map[string]any {
	value, err := DecodeJSON(o.managedFields(manager, subresource))
	if err != nil {
		return nil
	}
	fields, _ := value.(map[string]any)
	return fields
}

func (o *Object) managedFields(manager, subresource string) []byte {
	for i := range o.entries {
		if o.entries[i].manager == manager && o.entries[i].subresource == subresource {
			return o.entries[i].fields
		}
	}
	return nil
}

// AppendHostState appends to dst what of the object the host alone sees: its own annotations and entries of
// managedFields.
func (o *Object) AppendHostState(dst []byte) []byte {
	dst = append(dst, o.UID...)
	for _, mark := range o.marks {
		dst = append(append(append(append(dst, '\n'), mark.key...), '='), mark.value...)
	}
	for _, entry := range o.entries {
		dst = append(append(append(append(dst, '\n'), entry.manager...), '/'), entry.subresource...)
		dst = append(append(dst, '='), entry.fields...)
	}
	return append(dst, '\n')
}

// AppendJSON appends the encoding of a decoded object, or of a part of one, to dst. Equal ones have equal encodings.
func AppendJSON(dst []byte, object map[string]any) ([]byte, error) {
	return abi.Object(object).AppendJSON(dst)
}

// DecodeJSON decodes what an API server has written. Whole numbers become int64 if they fit, others float64.
func DecodeJSON(encoded []byte) (any, error) { return abi.Parse(encoded) }

// Decode returns the object decoded, as modules see it.
func (o *Object) Decode() (map[string]any, error) {
	var decoded map[string]any
	if err := utiljson.Unmarshal(o.JSON, &decoded); err != nil {
		return nil, fmt.Errorf("cannot decode %s: %w", o, err)
	}
	return decoded, nil
}

// Field returns a field of the object decoded, nil if there is no such field.
func (o *Object) Field(name string) (value any, err error) {
	err = abi.Fields(o.JSON, func(field string, encoded json.RawMessage) error {
		if field != name {
			return nil
		}
		return utiljson.Unmarshal(encoded, &value)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot decode %s of %s: %w", name, o, err)
	}
	return value, nil
}

// LabelsAndAnnotations returns the labels and annotations of the object, without the host's own.
func (o *Object) LabelsAndAnnotations() (labels, annotations map[string]string, err error) {
	var metadata struct{ Labels, Annotations map[string]string }
	err = abi.Fields(o.JSON, func(field string, encoded json.RawMessage) error {
		if field != "metadata" {
			return nil
		}
		return json.Unmarshal(encoded, &metadata)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot decode the labels of %s: %w", o, err)
	}
	return metadata.Labels, metadata.Annotations, nil
}

// rename makes a new object one of another kind.
func (o *Object) rename(kind schema.GroupVersionKind) {
	renamed := abi.AppendString(append(make([]byte, 0, len(o.JSON)), `{"apiVersion":`...), kind.GroupVersion().String())
	renamed = abi.AppendString(append(renamed, `,"kind":`...), kind.Kind)
	_ = abi.Fields(o.JSON, func(name string, value json.RawMessage) error { // it was written by Parse
		if name != "apiVersion" && name != "kind" {
			renamed = append(append(abi.AppendString(append(renamed, ','), name), ':'), value...)
		}
		return nil
	})
	renamed = append(renamed, '}')
	o.Kind, o.JSON = kind, renamed
}

// Reference is what events name an object by.
func (o *Object) Reference() *unstructured.Unstructured {
	reference := &unstructured.Unstructured{Object: map[string]any{}}
	reference.SetGroupVersionKind(o.Kind)
	reference.SetName(o.Name)
	reference.SetNamespace(o.Namespace)
	reference.SetUID(o.UID)
	reference.SetResourceVersion(o.ResourceVersion)
	return reference
}

// String returns "Kind namespace/name", or "Kind name" for a cluster-scoped object.
func (o *Object) String() string { return o.ID().String() }

// GetObjectKind implements runtime.Object.
func (o *Object) GetObjectKind() schema.ObjectKind {
	return &metav1.TypeMeta{APIVersion: o.Kind.GroupVersion().String(), Kind: o.Kind.Kind}
}

// DeepCopyObject implements runtime.Object. Objects do not change, so that they need no copy.
func (o *Object) DeepCopyObject() runtime.Object { return o }

// GetObjectMeta implements metav1.ObjectMetaAccessor with what informers ask for.
func (o *Object) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion, Generation: o.Generation,
		Annotations: o.bookmark(),
	}
}

// bookmark returns the annotation by which a reflector knows the end of the initial list.
func (o *Object) bookmark() map[string]string {
	if o.Name != "" {
		return nil
	}
	_, annotations, err := o.LabelsAndAnnotations()
	if err != nil {
		return nil
	}
	return annotations
}
