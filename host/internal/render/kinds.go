package render

import (
	"context"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

var definitionKind = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}

// kinds knows how the clusters of a plan serve kinds, all of them alike.
type kinds struct {
	// model is a server that serves all kinds, and has no objects.
	model  *apiserver.Server
	mapper *setup.Mapper
	found  *setup.Kinds
	// madeUp are the definitions of kinds that nobody has defined.
	madeUp []*apiextensionsv1.CustomResourceDefinition
	note   func(string)
	known  map[schema.GroupVersionKind]reconcile.Kind
}

func newKinds(objects []Object, note func(string)) (*kinds, error) {
	model, err := apiserver.New(apiserver.Options{})
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if object.GroupVersionKind().GroupKind() != definitionKind {
			continue
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
			return nil, fmt.Errorf("cannot decode CustomResourceDefinition %s: %w", object.GetName(), err)
		}
		if err := model.Install(definition); err != nil {
			return nil, err
		}
	}
	client := &http.Client{Transport: model}
	k := &kinds{
		model: model, mapper: setup.NewMapper(model.Config(), client), note: note,
		known: map[schema.GroupVersionKind]reconcile.Kind{},
	}
	k.found, err = setup.NewKinds(model.Config(), client, k.mapper)
	return k, err
}

// find returns a kind as the clusters serve it. One that they do not is made up.
func (k *kinds) find(ctx context.Context, kind schema.GroupVersionKind, namespaced bool) (reconcile.Kind, error) {
	found, err := k.served(ctx, kind)
	if !meta.IsNoMatchError(err) {
		return found, err
	}
	if kind.Group == "" {
		return found, fmt.Errorf("there is no kind %s %s", kind.Version, kind.Kind)
	}
	if err := k.makeUp(kind, namespaced); err != nil {
		return found, err
	}
	return k.served(ctx, kind)
}

// makeUp defines a kind whose objects may be anything.
func (k *kinds) makeUp(kind schema.GroupVersionKind, namespaced bool) error {
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	scope := apiextensionsv1.ClusterScoped
	if namespaced {
		scope = apiextensionsv1.NamespaceScoped
	}
	anything := &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural.Resource + "." + kind.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: kind.Group, Scope: scope, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural.Resource, Kind: kind.Kind},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: kind.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: anything},
			}},
		},
	}
	if err := k.model.Install(definition); err != nil {
		return err
	}
	k.madeUp = append(k.madeUp, definition)
	k.mapper.Forget()
	scoped := map[apiextensionsv1.ResourceScope]string{apiextensionsv1.NamespaceScoped: "namespaced", apiextensionsv1.ClusterScoped: "cluster-scoped"}
	k.note(fmt.Sprintf("kind %s %s has no definition here: it is taken to be %s, and its objects may be anything", kind.GroupVersion(), kind.Kind, scoped[scope]))
	return nil
}

// namespaced says whether a kind that is served is namespaced.
func (k *kinds) namespaced(kind schema.GroupVersionKind) (bool, error) {
	mapping, err := k.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// place returns copies of objects, each with a namespace if and only if its kind is namespaced. Kinds that are not known are
// made up after their first object.
func (k *kinds) place(ctx context.Context, objects []Object) (placed []Object, err error) {
	there := make(map[kube.ID]bool, len(objects))
	for _, object := range objects {
		object = object.DeepCopy()
		kind, err := k.find(ctx, object.GroupVersionKind(), object.GetNamespace() != "")
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", IDOf(object), err)
		case !kind.Namespaced:
			unstructured.RemoveNestedField(object.Object, "metadata", "namespace")
		case object.GetNamespace() == "":
			object.SetNamespace(metav1.NamespaceDefault)
		}
		id := IDOf(object)
		if there[id] {
			return nil, fmt.Errorf("%s is there twice", id)
		}
		there[id] = true
		placed = append(placed, object)
	}
	return placed, nil
}

// served returns a kind that is served.
func (k *kinds) served(ctx context.Context, kind schema.GroupVersionKind) (reconcile.Kind, error) {
	if found, known := k.known[kind]; known {
		return found, nil
	}
	found, err := k.found.Find(ctx, kind)
	if err == nil {
		k.known[kind] = found
	}
	return found, err
}
