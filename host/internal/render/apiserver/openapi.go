package apiserver

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
)

// openAPIPaths says where the OpenAPI document of each group's version is.
func (s *Server) openAPIPaths() map[string]any {
	paths := map[string]any{}
	for _, k := range s.kinds {
		path := groupPath(k.GroupVersion())
		paths[path] = map[string]any{"serverRelativeURL": "/openapi/v3/" + path}
	}
	return map[string]any{"paths": paths}
}

func groupPath(version schema.GroupVersion) string {
	if version.Group == "" {
		return "api/" + version.Version
	}
	return "apis/" + version.String()
}

// openAPIDocument returns the schemas of a group's version, nil if nothing of it is served. It has no paths.
func (s *Server) openAPIDocument(version schema.GroupVersion) map[string]any {
	schemas, served := map[string]any{}, false
	for gvk, k := range s.kinds {
		if gvk.GroupVersion() == version {
			k.schemas(schemas)
			served = true
		}
	}
	if !served {
		return nil
	}
	return map[string]any{
		"openapi":    "3.0.0",
		"info":       map[string]any{"title": "Kubernetes", "version": "v1"},
		"paths":      map[string]any{},
		"components": map[string]any{"schemas": schemas},
	}
}

func (c *custom) schemas(document map[string]any) string {
	name := modelName(c.gvk)
	encoded, err := json.Marshal(c.published())
	if err != nil {
		return name
	}
	document[name] = json.RawMessage(encoded)
	if types, err := builtinSchema(); err == nil {
		describe(document, types, objectMetaType)
	}
	return name
}

func (b builtin) schemas(document map[string]any) string {
	name, err := builtinScheme().ToOpenAPIDefinitionName(b.gvk)
	if err != nil {
		return name
	}
	if types, err := builtinSchema(); err == nil {
		describe(document, types, name)
	}
	described, known := document[name].(map[string]any)
	if !known { // CustomResourceDefinitions: clients must see at least that the kind is published
		described = map[string]any{"type": "object"}
		document[name] = described
	}
	described[kindExtension] = kindsOf(b.gvk)
	return name
}

// describe adds a type, and all that it leads to, to a document.
func describe(document map[string]any, types *smd.Schema, name string) {
	if _, done := document[name]; done {
		return
	}
	found, ok := types.FindNamedType(name)
	if !ok {
		return
	}
	document[name] = map[string]any{} // it may lead to itself
	document[name] = describeAtom(document, types, found.Atom)
}

func describeType(document map[string]any, types *smd.Schema, ref smd.TypeRef) map[string]any {
	if ref.NamedType == nil {
		return describeAtom(document, types, ref.Inlined)
	}
	if strings.HasPrefix(*ref.NamedType, "__untyped") {
		return map[string]any{}
	}
	describe(document, types, *ref.NamedType)
	return map[string]any{"$ref": componentsPath + *ref.NamedType}
}

func describeAtom(document map[string]any, types *smd.Schema, atom smd.Atom) map[string]any {
	switch {
	case atom.Map != nil && atom.Scalar == nil:
		return describeMap(document, types, atom.Map)
	case atom.List != nil && atom.Scalar == nil:
		return map[string]any{"type": "array", "items": describeType(document, types, atom.List.ElementType)}
	case atom.Scalar != nil && *atom.Scalar == smd.Numeric:
		return map[string]any{"type": "number"}
	case atom.Scalar != nil && *atom.Scalar != "untyped":
		return map[string]any{"type": string(*atom.Scalar)}
	default:
		return map[string]any{}
	}
}

func describeMap(document map[string]any, types *smd.Schema, m *smd.Map) map[string]any {
	described := map[string]any{"type": "object"}
	if len(m.Fields) == 0 {
		described["additionalProperties"] = describeType(document, types, m.ElementType)
		return described
	}
	properties := map[string]any{}
	for _, each := range m.Fields {
		properties[each.Name] = describeType(document, types, each.Type)
	}
	described["properties"] = properties
	return described
}
