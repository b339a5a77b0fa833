package apiserver

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const (
	// commonTypes is how the names of the types begin that kinds of all groups have.
	commonTypes    = "io.k8s.apimachinery."
	objectMetaType = commonTypes + "pkg.apis.meta.v1.ObjectMeta"
	componentsPath = "#/components/schemas/"
)

// converter knows the fields of one custom kind, as server-side apply does.
type converter struct{ of typed.ParseableType }

func (c converter) ObjectToTyped(object runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("cannot convert a %T", object)
	}
	return c.of.FromUnstructured(u.Object, options...)
}

func (converter) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	fields, ok := value.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("cannot make an object of a %T", value.AsValue().Unstructured())
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

// newConverter makes the types of a custom kind of its schema, and of what all kinds have in common.
func (c *custom) newConverter() (managedfields.TypeConverter, error) {
	name := modelName(c.gvk)
	schema, err := schemaconv.ToSchemaFromOpenAPI(map[string]*spec.Schema{name: c.published()}, false)
	if err != nil {
		return nil, err
	}
	builtin, err := builtinSchema()
	if err != nil {
		return nil, err
	}
	parser := &typed.Parser{Schema: smd.Schema{Types: schema.Types}}
	for _, each := range builtin.Types {
		if strings.HasPrefix(each.Name, commonTypes) {
			parser.Schema.Types = append(parser.Schema.Types, each)
		}
	}
	return converter{parser.Type(name)}, nil
}

// published returns the schema with the fields that every kind has.
func (c *custom) published() *spec.Schema {
	published := *c.openAPI
	published.Properties = make(map[string]spec.Schema, len(c.openAPI.Properties)+3)
	maps.Copy(published.Properties, c.openAPI.Properties)
	published.Properties["apiVersion"] = *spec.StringProperty()
	published.Properties["kind"] = *spec.StringProperty()
	published.Properties["metadata"] = *spec.RefProperty(componentsPath + objectMetaType)
	published.Extensions = spec.Extensions{}
	maps.Copy(published.Extensions, c.openAPI.Extensions)
	published.Extensions[kindExtension] = kindsOf(c.gvk)
	return &published
}

const kindExtension = "x-kubernetes-group-version-kind"

func kindsOf(gvk schema.GroupVersionKind) []any {
	return []any{map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}}
}

// modelName returns how OpenAPI documents name a custom kind: GROUP BACKWARDS.VERSION.KIND.
func modelName(gvk schema.GroupVersionKind) string {
	parts := strings.Split(gvk.Group, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(append(parts, gvk.Version, gvk.Kind), ".")
}

// builtinSchema returns the types of all built-in kinds, which any object of theirs leads to.
func builtinSchema() (*smd.Schema, error) {
	object := objectOf(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, nameOf(&unstructured.Unstructured{}))
	value, err := builtinTypes().ObjectToTyped(object)
	if err != nil {
		return nil, err
	}
	return value.Schema(), nil
}
