package apiserver

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// definitionKind is the kind of objects that define kinds.
var definitionKind = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}

// definedBy returns the kinds that a CustomResourceDefinition defines.
func definedBy(object map[string]any) ([]*kind, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, crd); err != nil {
		return nil, err
	}
	return customKinds(crd)
}

func validateDefinition(object map[string]any) field.ErrorList {
	if _, err := definedBy(object); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("spec"), "", err.Error())}
	}
	return nil
}

// serveDefined serves what a CustomResourceDefinition defines as soon as it is stored.
func (s *Server) serveDefined(object *unstructured.Unstructured) {
	kinds, err := definedBy(object.Object)
	if err != nil {
		return // it has been validated
	}
	for _, k := range kinds {
		s.serve(k)
	}
}

// forget serves a kind no longer, and deletes its objects.
func (s *Server) forget(definition *unstructured.Unstructured) {
	kinds, err := definedBy(definition.Object)
	if err != nil {
		return
	}
	for _, k := range kinds {
		for _, object := range s.list(k, "", func(*unstructured.Unstructured) bool { return true }) {
			s.remove(k, object, object)
		}
		delete(s.kinds, k.GroupVersionKind)
		delete(s.resources, k.resource)
	}
}

// establish sets the status by which clients see that a defined kind is served.
func (s *Server) establish(definition *unstructured.Unstructured) {
	var conditions []any
	for _, name := range []string{"NamesAccepted", "Established"} {
		conditions = append(conditions, map[string]any{
			"type": name, "status": "True", "reason": "Served", "message": "the kind is served",
			"lastTransitionTime": s.options.Now().UTC().Format(time.RFC3339),
		})
	}
	definition.Object["status"] = map[string]any{
		"conditions": conditions, "acceptedNames": at(definition.Object, "spec.names"), "storedVersions": []any{},
	}
}
