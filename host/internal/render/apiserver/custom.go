package apiserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// customMemo has the kinds that definitions define, by their spec: compiling a schema takes as long as hundreds of requests, and
// servers in a row mostly serve the same.
var customMemo sync.Map

// customKinds returns the versions that a CustomResourceDefinition serves.
func customKinds(crd *apiextensionsv1.CustomResourceDefinition) ([]*kind, error) {
	encoded, err := json.Marshal(crd.Spec)
	if err != nil {
		return nil, err
	}
	if known, ok := customMemo.Load(string(encoded)); ok {
		return known.([]*kind), nil
	}
	kinds, err := compileKinds(crd)
	if err == nil {
		customMemo.Store(string(encoded), kinds)
	}
	return kinds, err
}

func compileKinds(crd *apiextensionsv1.CustomResourceDefinition) ([]*kind, error) {
	var kinds []*kind
	names := crd.Spec.Names
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: names.Kind}
		k := &kind{
			GroupVersionKind: gvk,
			resource:         gvk.GroupVersion().WithResource(names.Plural),
			singular:         names.Singular,
			short:            names.ShortNames,
			namespaced:       crd.Spec.Scope != apiextensionsv1.ClusterScoped,
			status:           version.Subresources != nil && version.Subresources.Status != nil,
			generation:       true,
			custom:           true,
			name:             validation.NameIsDNSSubdomain,
		}
		if k.singular == "" {
			k.singular = strings.ToLower(names.Kind)
		}
		var err error
		if k.model, err = newCustom(gvk, version); err != nil {
			return nil, err
		}
		if err := k.complete(); err != nil {
			return nil, err
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

// custom is the model of a custom kind: the schema of its CustomResourceDefinition.
type custom struct {
	gvk             schema.GroupVersionKind
	structural      *tree
	openAPI         *spec.Schema
	converter       managedfields.TypeConverter
	validator       *validate.SchemaValidator
	statusValidator *validate.SchemaValidator
	shape           *shape
	// status is the status's part of the schema, nil if it has none.
	status      *tree
	statusShape *shape
}

func newCustom(gvk schema.GroupVersionKind, version apiextensionsv1.CustomResourceDefinitionVersion) (*custom, error) {
	if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
		return nil, fmt.Errorf("version %s has no schema", version.Name)
	}
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, props, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, err
	}
	c := &custom{gvk: gvk, structural: treeOf(structural), openAPI: structural.ToKubeOpenAPI()}
	c.validator = validate.NewSchemaValidator(structural.ToKubeOpenAPI(), nil, "", strfmt.Default)
	if status, ok := c.openAPI.Properties["status"]; ok {
		c.statusValidator = validate.NewSchemaValidator(&status, nil, "", strfmt.Default)
		c.statusShape = shapeOf(&status)
		c.status = c.structural.member("status")
	}
	c.shape = shapeOf(c.openAPI)
	c.converter, err = c.newConverter()
	return c, err
}

func (c *custom) types() managedfields.TypeConverter { return c.converter }

func (*custom) zero() map[string]any { return map[string]any{} }

// decode makes of a custom resource what Go's types make of a built-in one.
func (c *custom) decode(object map[string]any) (decoded map[string]any, unknown []string, err error) {
	unknown, err = c.coerce(object, true)
	if err != nil {
		return nil, nil, err
	}
	setSchemaDefaults(object, c.structural)
	return object, unknown, nil
}

// merged sets the defaults only: what was applied can have no unknown fields, and what is null is for validate to see.
func (c *custom) merged(object map[string]any, subresource string) (map[string]any, error) {
	if subresource == "" {
		setSchemaDefaults(object, c.structural)
		return object, nil
	}
	part := partOf(object, subresource) // all else is what is stored
	setSchemaDefaults(part, c.structural)
	takePart(object, part, subresource)
	return object, nil
}

// partOf returns an object that has nothing but one field.
func partOf(object map[string]any, name string) map[string]any {
	part := map[string]any{}
	if value, there := object[name]; there {
		part[name] = value
	}
	return part
}

// takePart puts the field of a part back.
func takePart(object, part map[string]any, name string) {
	if value, there := part[name]; there {
		object[name] = value
	} else {
		delete(object, name)
	}
}

func (c *custom) normalise(object map[string]any, subresource string) error {
	if subresource != "" {
		part := partOf(object, subresource) // all else is what is stored
		pruning.Prune(part, c.structural.Structural, false)
		dropNulls(part, c.structural)
		takePart(object, part, subresource)
		return nil
	}
	c.prune(object, false)
	_, err := withoutEntries(object, func(object map[string]any) (map[string]any, error) { return object, coerceMetadata(object) })
	return err
}

// coerce removes unknown fields, nulls where there may be none, and what is not metadata from the metadata.
func (c *custom) coerce(object map[string]any, track bool) (unknown []string, err error) {
	return c.prune(object, track), coerceMetadata(object)
}

func (c *custom) prune(object map[string]any, track bool) (unknown []string) {
	apiVersion, kind := object["apiVersion"], object["kind"]
	unknown = pruning.PruneWithOptions(object, c.structural.Structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: track})
	dropNulls(object, c.structural)
	object["apiVersion"], object["kind"] = apiVersion, kind
	return unknown
}

// coerceMetadata passes an object's metadata through its Go type.
func coerceMetadata(object map[string]any) error {
	metadata, there := object["metadata"]
	if !there {
		return nil
	}
	fields, ok := metadata.(map[string]any)
	if !ok {
		return errors.New("metadata is not an object")
	}
	typed := &metav1.ObjectMeta{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, typed); err != nil {
		return err
	}
	written, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return err
	}
	keepReset(written, fields)
	object["metadata"] = written
	return nil
}

// withoutEntries makes something of an object whose managedFields are kept out of it: the field manager has written them, and to
// decode and encode them takes as long as all the rest.
func withoutEntries(object map[string]any, make func(map[string]any) (map[string]any, error)) (map[string]any, error) {
	metadata, _ := object["metadata"].(map[string]any)
	entries, there := metadata["managedFields"]
	delete(metadata, "managedFields")
	made, err := make(object)
	if err != nil || !there {
		return made, err
	}
	metadata, _ = made["metadata"].(map[string]any)
	metadata["managedFields"] = entries
	return made, nil
}

// keepReset keeps an empty list of managedFields, by which a client lets go of all of them.
func keepReset(metadata, sent map[string]any) {
	if list, ok := sent["managedFields"].([]any); ok && len(list) == 0 {
		metadata["managedFields"] = list
	}
}

// setSchemaDefaults sets what the schema has defaults for.
func setSchemaDefaults(value any, s *tree) {
	if s == nil {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		for name, property := range s.members {
			if current, there := v[name]; property.Default.Object != nil && (!there || current == nil && !property.Nullable) {
				v[name] = runtime.DeepCopyJSONValue(property.Default.Object)
			}
		}
		for name, item := range v {
			setSchemaDefaults(item, s.member(name))
		}
	case []any:
		for _, item := range v {
			setSchemaDefaults(item, s.items)
		}
	}
}

// dropNulls removes nulls that the schema does not allow and has no default for.
func dropNulls(value any, s *tree) {
	switch v := value.(type) {
	case map[string]any:
		for name, item := range v {
			of := s.member(name)
			if item == nil && of != nil && !of.Nullable && of.Default.Object == nil {
				delete(v, name)
			} else {
				dropNulls(item, of)
			}
		}
	case []any:
		for _, item := range v {
			if s != nil {
				dropNulls(item, s.items)
			}
		}
	}
}

// validate holds an object against its schema. As far as only the status is written, only that is looked at.
func (c *custom) validate(object, old map[string]any, subresource string) field.ErrorList {
	if subresource == "status" {
		return c.validateStatus(object, old)
	}
	var errs field.ErrorList
	if !c.shape.fits(object) {
		errs = fieldErrors(nil, c.validator.Validate(object))
	}
	return append(errs, validateLists(nil, c.structural, object, old)...)
}

func (c *custom) validateStatus(object, old map[string]any) field.ErrorList {
	status, there := object["status"]
	if !there || c.statusValidator == nil {
		return nil
	}
	var errs field.ErrorList
	path := field.NewPath("status")
	if !c.statusShape.fits(status) {
		errs = fieldErrors(path, c.statusValidator.Validate(status))
	}
	fields, _ := status.(map[string]any)
	before, _ := old["status"].(map[string]any)
	return append(errs, validateLists(path, c.status, fields, before)...)
}

// validateLists looks for what is twice in lists that are sets or maps, unless there was something already.
func validateLists(path *field.Path, s *tree, object, old map[string]any) field.ErrorList {
	if !s.hasSets || old != nil && len(listtype.ValidateListSetsAndMaps(path, s.Structural, old)) > 0 {
		return nil
	}
	return listtype.ValidateListSetsAndMaps(path, s.Structural, object)
}

// fieldErrors says in the words of the API what a validator says.
func fieldErrors(root *field.Path, result *validate.Result) (errs field.ErrorList) {
	for _, err := range result.Errors {
		var problem *openapierrors.Validation
		if !errors.As(err, &problem) {
			errs = append(errs, field.Invalid(root, "", err.Error()))
			continue
		}
		at := root
		if problem.Name != "" && problem.Name != "." {
			at = root.Child(strings.TrimPrefix(problem.Name, "."))
		}
		errs = append(errs, fieldError(at, problem))
	}
	return errs
}

func fieldError(at *field.Path, problem *openapierrors.Validation) *field.Error {
	value := problem.Value
	if value == nil {
		value = ""
	}
	switch problem.Code() {
	case openapierrors.RequiredFailCode:
		return field.Required(at, "")
	case openapierrors.EnumFailCode:
		allowed := make([]string, len(problem.Values))
		for i, one := range problem.Values {
			allowed[i] = fmt.Sprint(one)
		}
		return field.NotSupported(at, value, allowed)
	case openapierrors.InvalidTypeCode:
		return field.TypeInvalid(at, value, problem.Error())
	case openapierrors.TooLongFailCode:
		most, _ := problem.Valid.(int64)
		return field.TooLong(at, "", int(most))
	default:
		return field.Invalid(at, value, problem.Error())
	}
}
