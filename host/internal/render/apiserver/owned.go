package apiserver

import (
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// fieldsOf finds out which fields whoever applies an object of a kind owns, as structured-merge-diff does in two walks and by a set of
// paths, in one walk and as managedFields have it. It knows valid objects only, and leaves all else to that. A test holds the two
// against each other.
type fieldsOf struct {
	schema *smd.Schema
	kind   smd.TypeRef
	// created is true for what somebody has created, who owns the objects and lists in it, too, and not only what is in those.
	created bool
}

// of returns the fields of an object, but those that are left out; ok is false if it has something that fieldsOf does not know.
func (f *fieldsOf) of(object map[string]any, without []string) (fields map[string]any, ok bool) {
	found, _, ok := f.walk(object, f.kind)
	if !ok {
		return nil, false
	}
	for _, name := range append([]string{"apiVersion", "kind"}, without...) {
		delete(found, "f:"+name)
	}
	metadata, _ := found["f:metadata"].(map[string]any)
	for _, name := range nobodys {
		if below, _ := metadata["f:"+name].(map[string]any); len(below) > 0 {
			return nil, false
		}
		if len(metadata) > 0 {
			delete(metadata, "f:"+name)
		}
	}
	if len(metadata) > 0 { // or it may be the leaf of all
		delete(metadata, ".")
	}
	if len(metadata) == 0 {
		delete(found, "f:metadata")
	}
	return found, true
}

// walk returns what is owned below a value, and whether the value itself is.
func (f *fieldsOf) walk(of any, kind smd.TypeRef) (below map[string]any, itself, ok bool) {
	atom, known := f.schema.Resolve(kind)
	if !known {
		return nil, false, false
	}
	switch v := of.(type) {
	case map[string]any:
		if atom.Map == nil {
			return nil, false, false
		}
		below, ok = f.walkMap(v, atom.Map)
		if atom.Map.ElementRelationship == smd.Atomic {
			return nil, true, ok
		}
		return below, f.created, ok
	case []any:
		if atom.List == nil {
			return nil, false, false
		}
		if atom.List.ElementRelationship == smd.Atomic {
			return nil, true, f.valid(v, atom.List)
		}
		below, ok = f.walkList(v, atom.List)
		return below, f.created, ok
	default:
		return nil, true, atom.Scalar != nil && isScalar(v, *atom.Scalar)
	}
}

func isScalar(of any, kind smd.Scalar) bool {
	switch of.(type) {
	case string:
		return kind == smd.String || kind == smd.Untyped
	case bool:
		return kind == smd.Boolean || kind == smd.Untyped
	case int64, float64:
		return kind == smd.Numeric || kind == smd.Untyped
	default:
		return false
	}
}

func (f *fieldsOf) walkMap(object map[string]any, kind *smd.Map) (fields map[string]any, ok bool) {
	fields = make(map[string]any, len(object))
	for name, item := range object {
		of := kind.ElementType
		field, declared := kind.FindField(name)
		if declared {
			of = field.Type
		} else if of == (smd.TypeRef{}) {
			return nil, false
		}
		below, itself, ok := f.walk(item, of)
		if !ok {
			return nil, false
		}
		inner, isObject := item.(map[string]any)
		add(fields, "f:"+name, below, itself || !declared || isObject && len(inner) == 0)
	}
	return fields, true
}

// leaf says of a field that it is owned, and that nothing below it is. Nobody changes it.
var leaf = map[string]any{}

// add adds an item to fields, unless nobody owns anything of it.
func add(fields map[string]any, name string, below map[string]any, itself bool) {
	switch {
	case len(below) == 0 && !itself:
	case len(below) == 0:
		fields[name] = leaf
	case itself:
		below["."] = leaf
		fields[name] = below
	default:
		fields[name] = below
	}
}

// valid says whether the items of a list that is owned as a whole are as they should be.
func (f *fieldsOf) valid(list []any, kind *smd.List) bool {
	return !slices.ContainsFunc(list, func(item any) bool {
		_, _, ok := f.walk(item, kind.ElementType)
		return !ok
	})
}

func (f *fieldsOf) walkList(list []any, kind *smd.List) (fields map[string]any, ok bool) {
	if kind.ElementRelationship != smd.Associative {
		return nil, false
	}
	fields = make(map[string]any, len(list))
	for _, item := range list {
		name, ok := f.nameOf(item, kind)
		if _, twice := fields[name]; twice || !ok {
			return nil, false
		}
		below, _, ok := f.walk(item, kind.ElementType)
		if !ok {
			return nil, false
		}
		add(fields, name, below, true)
	}
	return fields, true
}

// nameOf returns how managedFields name an item of a list: by its keys, those that it lacks by their defaults, or by its value.
func (f *fieldsOf) nameOf(item any, kind *smd.List) (name string, ok bool) {
	object, isObject := item.(map[string]any)
	if isObject == (len(kind.Keys) == 0) {
		return "", false
	}
	element := fieldpath.PathElement{}
	if isObject {
		if element.Key, ok = f.keysOf(object, kind); !ok {
			return "", false
		}
	} else {
		if !isScalar(item, smd.Untyped) {
			return "", false
		}
		of := value.NewValueInterface(item)
		element.Value = &of
	}
	name, err := fieldpath.SerializePathElement(element)
	return name, err == nil
}

func (f *fieldsOf) keysOf(object map[string]any, kind *smd.List) (keys *value.FieldList, ok bool) {
	atom, known := f.schema.Resolve(kind.ElementType)
	if !known || atom.Map == nil {
		return nil, false
	}
	keys = &value.FieldList{}
	for _, key := range kind.Keys {
		of, there := object[key]
		if !there {
			field, _ := atom.FindField(key)
			of, there = field.Default, field.Default != nil
		}
		if there {
			*keys = append(*keys, value.Field{Name: key, Value: value.NewValueInterface(of)})
		}
	}
	keys.Sort()
	return keys, len(*keys) > 0
}
