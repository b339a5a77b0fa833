package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// A kind is served a moment before its schema is published. It is looked for as often as the first of these says, and for as
// long as the second does, since some API servers publish none.
const schemaPoll, schemaTimeout = 200 * time.Millisecond, 10 * time.Second

// Kinds finds out how a cluster serves kinds.
type Kinds struct {
	mapper *Mapper
	// Discovery asks the cluster what it serves.
	Discovery *discovery.DiscoveryClient
}

// NewKinds returns Kinds of the cluster that config leads to, over httpClient.
func NewKinds(cluster *rest.Config, httpClient *http.Client, mapper *Mapper) (*Kinds, error) {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(cluster, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot set up discovery: %w", err)
	}
	return &Kinds{mapper: mapper, Discovery: client}, nil
}

// Find returns a kind as the cluster serves it. If it does not, the error is one of meta.IsNoMatchError.
func (k *Kinds) Find(ctx context.Context, gvk schema.GroupVersionKind) (reconcile.Kind, error) {
	mapping, err := k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return reconcile.Kind{}, err
	}
	kind := reconcile.Kind{GroupVersionKind: gvk, Namespaced: mapping.Scope.Name() == meta.RESTScopeNameNamespace}
	served, err := k.served(kind, mapping.Resource.Resource)
	if err != nil {
		return reconcile.Kind{}, err
	}
	kind.Status, err = k.status(ctx, gvk, mapping.Resource.Resource, served)
	return kind, err
}

// served returns the resources of a kind's version, and sees to it that the kind is among them just as the mapper has it,
// which does not notice when a kind goes or comes back in another form.
func (k *Kinds) served(kind reconcile.Kind, resource string) ([]metav1.APIResource, error) {
	version := kind.GroupVersion()
	list, err := k.Discovery.ServerResourcesForGroupVersion(version.String())
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return nil, fmt.Errorf("cannot ask the cluster for the resources of %s: %w", version, err)
	}
	if !gone && slices.ContainsFunc(list.APIResources, func(candidate metav1.APIResource) bool {
		return candidate.Name == resource && candidate.Kind == kind.Kind && candidate.Namespaced == kind.Namespaced
	}) {
		return list.APIResources, nil
	}
	k.mapper.Forget()
	return nil, &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
}

// status says how a kind has its status: the subresource from discovery, the conditions' fields from its schema.
func (k *Kinds) status(ctx context.Context, gvk schema.GroupVersionKind, resource string, served []metav1.APIResource) (options apply.StatusOptions, err error) {
	options.Subresource = slices.ContainsFunc(served, func(candidate metav1.APIResource) bool { return candidate.Name == resource+"/status" })
	if !options.Subresource {
		return options, nil
	}
	options.ObservedGeneration, err = k.conditionsHaveGeneration(ctx, gvk)
	return options, err
}

// openAPISchema is the part of an OpenAPI v3 schema that leads to the fields of conditions.
type openAPISchema struct {
	Ref        string                    `json:"$ref"`
	AllOf      []openAPISchema           `json:"allOf"`
	Properties map[string]openAPISchema  `json:"properties"`
	Items      *openAPISchema            `json:"items"`
	Kinds      []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
}

type openAPIDocument struct {
	Components struct {
		Schemas map[string]openAPISchema `json:"schemas"`
	} `json:"components"`
}

// conditionsHaveGeneration says whether the schema of a kind declares status.conditions[].observedGeneration.
func (k *Kinds) conditionsHaveGeneration(ctx context.Context, gvk schema.GroupVersionKind) (declared bool, err error) {
	err = wait.PollUntilContextTimeout(ctx, schemaPoll, schemaTimeout, true, func(context.Context) (bool, error) {
		document, err := k.schemas(gvk.GroupVersion())
		if err != nil {
			return false, err
		}
		kind, published := document.schemaOf(gvk)
		declared = document.has(kind, []string{"status", "conditions", "observedGeneration"})
		return published, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return false, nil
	}
	return declared, err
}

// schemas returns the schemas of a group's version, which are none if nothing is published.
func (k *Kinds) schemas(version schema.GroupVersion) (*openAPIDocument, error) {
	document := &openAPIDocument{}
	paths, err := k.Discovery.OpenAPIV3().Paths()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster for its schemas: %w", err)
	}
	path := "apis/" + version.String()
	if version.Group == "" {
		path = "api/" + version.Version
	}
	published, ok := paths[path]
	if !ok {
		return document, nil
	}
	data, err := published.Schema("application/json")
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster for the schema of %s: %w", version, err)
	}
	if err := json.Unmarshal(data, document); err != nil {
		return nil, fmt.Errorf("cannot decode the schema of %s: %w", version, err)
	}
	return document, nil
}

func (d *openAPIDocument) schemaOf(gvk schema.GroupVersionKind) (openAPISchema, bool) {
	for _, candidate := range d.Components.Schemas {
		if slices.Contains(candidate.Kinds, gvk) {
			return candidate, true
		}
	}
	return openAPISchema{}, false
}

// has says whether a schema has a field at path. Lists are passed through.
func (d *openAPIDocument) has(s openAPISchema, path []string) bool {
	s = d.resolve(s)
	if s.Items != nil {
		s = d.resolve(*s.Items)
	}
	if len(path) == 0 {
		return true
	}
	below, ok := s.Properties[path[0]]
	return ok && d.has(below, path[1:])
}

// resolve follows references, which the API server wraps into an allOf to give them a default.
func (d *openAPIDocument) resolve(s openAPISchema) openAPISchema {
	for range 10 { // references do not nest deeper than one or two
		switch {
		case s.Ref != "":
			s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		case len(s.AllOf) == 1:
			s = s.AllOf[0]
		default:
			return s
		}
	}
	return s
}
