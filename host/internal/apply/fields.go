package apply

import (
	"encoding/json"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fieldSet is a set of fields as managedFields has it (fieldsV1): "f:NAME" for a field, `k:{...}` for the item of a list
// with those keys, "v:VALUE" for the item of a set. A field without any below it is owned as a whole.
type fieldSet = map[string]any

// managedFields returns the fields that a manager owns by Apply through a subresource ("" for the object itself), nil if
// there are none.
func managedFields(object *unstructured.Unstructured, manager, subresource string) fieldSet {
	entries, _, _ := unstructured.NestedFieldNoCopy(object.Object, "metadata", "managedFields")
	list, _ := entries.([]any)
	for _, item := range list {
		entry, _ := item.(map[string]any)
		through, _ := entry["subresource"].(string)
		if entry["manager"] == manager && entry["operation"] == "Apply" && through == subresource {
			fields, _ := entry["fieldsV1"].(map[string]any)
			return fields
		}
	}
	return nil
}

// TrimManagedFields leaves of an object's managedFields only what this package reads, which is little of what a cache
// would otherwise hold.
func TrimManagedFields(object *unstructured.Unstructured) {
	metadata, _ := object.Object["metadata"].(map[string]any)
	list, _ := metadata["managedFields"].([]any)
	kept := make([]any, 0, 1)
	for _, item := range list {
		entry, _ := item.(map[string]any)
		manager, _ := entry["manager"].(string)
		if strings.HasPrefix(manager, managerPrefix) && entry["operation"] == "Apply" {
			kept = append(kept, entry)
		}
	}
	if len(kept) == 0 {
		delete(metadata, "managedFields")
	} else {
		metadata["managedFields"] = kept
	}
}

// appliedFields returns an applied object without what nobody can own of it.
func appliedFields(object *unstructured.Unstructured) map[string]any {
	fields := make(map[string]any, len(object.Object))
	for name, value := range object.Object {
		if name != "apiVersion" && name != "kind" {
			fields[name] = value
		}
	}
	metadata, _ := fields["metadata"].(map[string]any)
	owned := make(map[string]any, len(metadata))
	for name, value := range metadata {
		switch name {
		case "name", "namespace", "uid", "resourceVersion":
		default:
			owned[name] = value
		}
	}
	fields["metadata"] = owned
	return fields
}

// covers says whether the set has every field of value. It needs no schema: the set itself says which lists are keyed.
func covers(set fieldSet, value any) bool {
	if len(set) == 0 {
		return true // owned as a whole
	}
	switch v := value.(type) {
	case map[string]any:
		for name, item := range v {
			below, ok := set["f:"+name].(fieldSet)
			if !ok || !covers(below, item) {
				return false
			}
		}
	case []any:
		for _, item := range v {
			below, ok := itemFields(set, item)
			if !ok || !covers(below, item) {
				return false
			}
		}
	}
	return true
}

// within says whether the set has no field beyond those of value.
func within(set fieldSet, value any) bool {
	for name, item := range set {
		if name == "." {
			continue
		}
		below, _ := item.(fieldSet)
		inner, ok := memberOf(value, name)
		if !ok || !within(below, inner) {
			return false
		}
	}
	return true
}

// memberOf returns the part of value that a name in a set stands for.
func memberOf(value any, name string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		field, isField := strings.CutPrefix(name, "f:")
		inner, ok := v[field]
		return inner, ok && isField
	case []any:
		for _, item := range v {
			if names(name, item) {
				return item, true
			}
		}
	}
	return nil, false
}

// itemFields returns the part of a list's set that stands for one item.
func itemFields(set fieldSet, item any) (fieldSet, bool) {
	for name, below := range set {
		if names(name, item) {
			fields, ok := below.(fieldSet)
			return fields, ok
		}
	}
	return nil, false
}

// names says whether a name in a list's set stands for item. A key that the item leaves out has a default, and does not
// speak against it.
func names(name string, item any) bool {
	if value, ok := strings.CutPrefix(name, "v:"); ok {
		encoded, err := json.Marshal(item)
		return err == nil && string(encoded) == value
	}
	encoded, ok := strings.CutPrefix(name, "k:")
	object, isObject := item.(map[string]any)
	if !ok || !isObject {
		return false
	}
	keys := map[string]any{}
	if json.Unmarshal([]byte(encoded), &keys) != nil {
		return false
	}
	for key, want := range keys {
		if got, there := object[key]; there && !sameScalar(got, want) {
			return false
		}
	}
	return true
}

// sameScalar compares a value of an object with one that encoding/json decoded.
func sameScalar(got, want any) bool {
	if whole, ok := got.(int64); ok {
		return float64(whole) == want
	}
	return got == want
}

// contains says whether current has all that desired says. Lists whose items the set names by key are compared item by
// item, all others as a whole.
func contains(set fieldSet, current, desired any) bool {
	switch want := desired.(type) {
	case map[string]any:
		got, ok := current.(map[string]any)
		for name, value := range want {
			below, _ := set["f:"+name].(fieldSet)
			if !ok || !contains(below, got[name], value) {
				return false
			}
		}
		return ok
	case []any:
		if len(set) == 0 {
			return reflect.DeepEqual(current, desired)
		}
		return containsItems(set, current, want)
	default:
		return reflect.DeepEqual(current, desired)
	}
}

func containsItems(set fieldSet, current any, desired []any) bool {
	for _, item := range desired {
		for name, below := range set {
			if !names(name, item) {
				continue
			}
			got, ok := memberOf(current, name)
			fields, _ := below.(fieldSet)
			if !ok || !contains(fields, got, item) {
				return false
			}
		}
	}
	return true
}
