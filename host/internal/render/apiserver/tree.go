package apiserver

import (
	"reflect"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// tree is a structural schema of which one can go from part to part without copying each, and see what need not be looked for.
type tree struct {
	*structuralschema.Structural
	members map[string]*tree
	rest    *tree // of members that are not named; nil if nothing is said of them
	items   *tree
	// hasSets is true if there are lists in it that are sets or maps.
	hasSets bool
}

func treeOf(s *structuralschema.Structural) *tree {
	if s == nil {
		return nil
	}
	t := &tree{Structural: s, members: make(map[string]*tree, len(s.Properties)), items: treeOf(s.Items)}
	if s.AdditionalProperties != nil {
		t.rest = treeOf(s.AdditionalProperties.Structural)
	}
	parts := []*tree{t.rest, t.items}
	for name := range s.Properties {
		property := s.Properties[name]
		t.members[name] = treeOf(&property)
		parts = append(parts, t.members[name])
	}
	t.hasSets = s.XListType != nil && *s.XListType != "atomic"
	for _, part := range parts {
		t.hasSets = t.hasSets || part != nil && part.hasSets
	}
	return t
}

// member returns the schema of an object's member, nil if there is none.
func (t *tree) member(name string) *tree {
	if t == nil {
		return nil
	}
	if property, ok := t.members[name]; ok {
		return property
	}
	return t.rest
}

// isSame does what reflect.DeepEqual does, for decoded JSON in a fifth of the time.
func isSame(a, b any) bool {
	switch one := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(one) != len(other) || (one == nil) != (other == nil) {
			return false
		}
		for name, value := range one {
			if counterpart, there := other[name]; !there || !isSame(value, counterpart) {
				return false
			}
		}
		return true
	case []any:
		other, ok := b.([]any)
		if !ok || len(one) != len(other) || (one == nil) != (other == nil) {
			return false
		}
		for i, value := range one {
			if !isSame(value, other[i]) {
				return false
			}
		}
		return true
	case nil, string, bool, int64, float64:
		return a == b
	default:
		return reflect.DeepEqual(a, b)
	}
}
