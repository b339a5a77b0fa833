package apiserver

import (
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// kind is a version of a kind that is served.
type kind struct {
	schema.GroupVersionKind
	resource schema.GroupVersionResource
	singular string
	short    []string
	// namespaced objects live in a namespace. Those of a kind with status have a status subresource, and those of one with
	// generation count the changes of what is not status.
	namespaced, status, generation bool
	// custom: an update must say which resourceVersion it changes, and lists have items with their kind.
	custom bool
	name   validation.ValidateNameFunc
	model
	managers map[string]*managedfields.FieldManager // by subresource
	filters  map[string]fieldpath.Filter            // what appliers can own, by subresource; nil: all
	without  map[string][]string                    // the fields that the filters leave out
	fields   *fieldsOf                              // of what is applied
	created  *fieldsOf                              // of what is created
	blank    map[string]any                         // what empty returns copies of
}

// model is what a kind's schema says.
type model interface {
	// zero returns the fields that even an object has that says nothing. None of them is a default.
	zero() map[string]any
	// decode makes of what a client has sent what the server goes on with: without unknown fields, whose paths it returns,
	// and with defaults.
	decode(object map[string]any) (decoded map[string]any, unknown []string, err error)
	// merged does so with what an apply has made. With a subresource, only that was applied.
	merged(object map[string]any, subresource string) (map[string]any, error)
	// normalise makes of an object what is stored of it. With a subresource, only that was written.
	normalise(object map[string]any, subresource string) error
	// validate says what is wrong with an object. old is nil when it is created.
	validate(object, old map[string]any, subresource string) field.ErrorList
	// types knows the kind's fields as server-side apply does.
	types() managedfields.TypeConverter
	// schemas returns the kind's name in OpenAPI documents, and adds what they say about it.
	schemas(document map[string]any) string
}

// complete makes the field managers of a kind.
func (k *kind) complete() error {
	status := fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	others := fieldpath.NewSet(fieldpath.MakePathOrDie("metadata"), fieldpath.MakePathOrDie("spec"))
	k.blank = k.zero()
	k.blank["apiVersion"], k.blank["kind"] = k.GroupVersion().String(), k.Kind
	k.managers = map[string]*managedfields.FieldManager{}
	k.without = map[string][]string{"": {"status"}, "status": {"metadata", "spec"}}
	typed, err := k.types().ObjectToTyped(k.empty())
	if err != nil {
		return err
	}
	k.fields = &fieldsOf{schema: typed.Schema(), kind: typed.TypeRef()}
	k.created = &fieldsOf{schema: typed.Schema(), kind: typed.TypeRef(), created: true}
	if !k.status {
		k.without = nil
		k.managers[""], err = k.manager("", nil)
		return err
	}
	k.filters = map[string]fieldpath.Filter{"": fieldpath.NewExcludeSetFilter(status), "status": fieldpath.NewExcludeSetFilter(others)}
	for subresource, filter := range k.filters {
		if k.managers[subresource], err = k.manager(subresource, filter); err != nil {
			return err
		}
	}
	return nil
}

// manager returns a field manager. The fields that the filter takes away are nobody's.
func (k *kind) manager(subresource string, filter fieldpath.Filter) (*managedfields.FieldManager, error) {
	filters := map[fieldpath.APIVersion]fieldpath.Filter{}
	if filter != nil {
		filters[fieldpath.APIVersion(k.GroupVersion().String())] = filter
	}
	newManager := managedfields.NewDefaultFieldManager
	if k.custom {
		newManager = managedfields.NewDefaultCRDFieldManager
	}
	return newManager(k.types(), versions{}, versions{}, empties{k}, k.GroupVersionKind, k.GroupVersion(), subresource, filters)
}

// empty returns what an object of the kind is compared with when it is created.
func (k *kind) empty() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: runtime.DeepCopyJSON(k.blank)}
}

// present returns a stored object in the kind's version.
func (k *kind) present(object *unstructured.Unstructured) *unstructured.Unstructured {
	return versioned(object, k.GroupVersion())
}

// versioned returns an object in a version. Versions of a kind have the same fields, as with conversion strategy None.
func versioned(object *unstructured.Unstructured, version schema.GroupVersion) *unstructured.Unstructured {
	if object.GetAPIVersion() == version.String() {
		return object
	}
	other := &unstructured.Unstructured{Object: maps.Clone(object.Object)}
	other.SetAPIVersion(version.String())
	return other
}

// versions converts between versions for a field manager. Defaults are set when it is done.
type versions struct{}

func (versions) Convert(any, any, any) error {
	return errors.New("only objects are converted")
}

func (versions) ConvertToVersion(object runtime.Object, versioner runtime.GroupVersioner) (runtime.Object, error) {
	gvk, ok := versioner.KindForGroupVersionKinds([]schema.GroupVersionKind{object.GetObjectKind().GroupVersionKind()})
	if !ok {
		return nil, fmt.Errorf("cannot convert %s to %s", object.GetObjectKind().GroupVersionKind(), versioner.Identifier())
	}
	return versioned(object.(*unstructured.Unstructured), gvk.GroupVersion()), nil
}

func (versions) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

func (versions) Default(runtime.Object) {}

// empties makes empty objects for a field manager.
type empties struct{ kind *kind }

func (e empties) New(schema.GroupVersionKind) (runtime.Object, error) { return e.kind.empty(), nil }
