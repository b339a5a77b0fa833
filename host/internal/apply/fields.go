package apply

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// fieldSet is a set of fields as managedFields has it (fieldsV1): "f:NAME" for a field, `k:{...}` for the item of a list
// with those keys, "v:VALUE" for the item of a set. A field without any below it is owned as a whole.
type fieldSet = map[string]any

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

// covers says whether the set has every field of desired. It needs no schema: the set itself says which lists are keyed.
// Nobody owns an empty list of that sort, so current must have it empty too. A nil set has nothing.
func covers(set fieldSet, current, desired any) bool {
	if set != nil && len(set) == 0 {
		return true // owned as a whole
	}
	switch want := desired.(type) {
	case map[string]any:
		got, _ := current.(map[string]any)
		for name, item := range want {
			below, _ := set["f:"+name].(fieldSet)
			if !covers(below, got[name], item) {
				return false
			}
		}
		return set != nil || len(want) > 0
	case []any:
		if len(want) == 0 {
			return set != nil || isEmpty(current)
		}
		return coversItems(set, current, want)
	default:
		return set != nil
	}
}

// coversItems pairs each item with a part of a list's set. Items that give all their keys come first, so that what is left
// for one that leaves a key to its default is not another one's.
func coversItems(set fieldSet, current any, items []any) bool {
	left, open := maps.Clone(set), slices.Clone(items)
	for _, exactly := range []bool{true, false} {
		open = slices.DeleteFunc(open, func(item any) bool {
			for name, below := range left {
				if !names(name, item, exactly) {
					continue
				}
				got, _ := memberOf(current, name)
				if fields, ok := below.(fieldSet); ok && covers(fields, got, item) {
					delete(left, name)
					return true
				}
			}
			return false
		})
	}
	return len(open) == 0
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
		for _, exactly := range []bool{true, false} {
			for _, item := range v {
				if names(name, item, exactly) {
					return item, true
				}
			}
		}
	}
	return nil, false
}

// names says whether a name in a list's set stands for item. Unless it has to exactly, a key that the item leaves to its
// default does not speak against it.
func names(name string, item any, exactly bool) bool {
	if value, ok := strings.CutPrefix(name, "v:"); ok {
		want, err := kube.DecodeJSON([]byte(value))
		return err == nil && sameScalar(item, want)
	}
	encoded, ok := strings.CutPrefix(name, "k:")
	object, isObject := item.(map[string]any)
	if !ok || !isObject {
		return false
	}
	want, err := kube.DecodeJSON([]byte(encoded))
	keys, _ := want.(map[string]any)
	if err != nil {
		return false
	}
	for key, want := range keys {
		if got, there := object[key]; there && !sameScalar(got, want) || !there && exactly {
			return false
		}
	}
	return len(keys) > 0
}

// dropEmptied removes from value the empty objects below which the set still has something: of a custom resource the API
// server would make null of them, and refuse that. When all below them is gone, the next apply can say that they are
// empty. It returns whether there were any.
func dropEmptied(set fieldSet, value any) (dropped bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, item := range v {
			below, _ := set["f:"+name].(fieldSet)
			dropped = dropEmptied(below, item) || dropped
			if object, ok := item.(map[string]any); ok && len(object) == 0 && hasMembers(below) {
				delete(v, name)
				dropped = true
			}
		}
	case []any:
		for name, below := range set {
			item, _ := memberOf(v, name)
			fields, _ := below.(fieldSet)
			dropped = dropEmptied(fields, item) || dropped
		}
	}
	return dropped
}

// hasEmptyList says whether there is an empty list anywhere in value.
func hasEmptyList(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			if hasEmptyList(item) {
				return true
			}
		}
	case []any:
		return len(v) == 0 || slices.ContainsFunc(v, hasEmptyList)
	}
	return false
}

func isEmpty(value any) bool {
	list, ok := value.([]any)
	return value == nil || ok && len(list) == 0
}

// hasMembers says whether a set has more than the field itself.
func hasMembers(set fieldSet) bool {
	_, itself := set["."]
	return len(set) > 1 || len(set) == 1 && !itself
}

// sameScalar compares two values. A number is one value, however it was decoded. Items of a set may be objects, too.
func sameScalar(got, want any) bool {
	return reflect.DeepEqual(asFloat(got), asFloat(want))
}

func asFloat(value any) any {
	if whole, ok := value.(int64); ok {
		return float64(whole)
	}
	return value
}

// contains says whether current has all that desired says. Lists whose items the set names by key are compared item by
// item, all others as a whole. Of built-in kinds the API server does not keep what is empty.
func contains(set fieldSet, current, desired any) bool {
	switch want := desired.(type) {
	case map[string]any:
		got, ok := current.(map[string]any)
		for name, value := range want {
			below, _ := set["f:"+name].(fieldSet)
			if !contains(below, got[name], value) {
				return false
			}
		}
		return ok || current == nil
	case []any:
		if len(set) == 0 {
			return isEmpty(current) && len(want) == 0 || reflect.DeepEqual(current, desired)
		}
		return containsItems(set, current, want)
	default:
		return reflect.DeepEqual(current, desired)
	}
}

// containsItems compares the items that the set names.
func containsItems(set fieldSet, current any, desired []any) bool {
	for name, below := range set {
		want, ok := memberOf(desired, name)
		if !ok {
			continue
		}
		got, ok := memberOf(current, name)
		fields, _ := below.(fieldSet)
		if !ok || !contains(fields, got, want) {
			return false
		}
	}
	return true
}
