package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

const (
	// kindPoll is how often the cluster is asked for a kind that it does not serve yet.
	kindPoll = 2 * time.Second
	// kindReminder is how often the log says that a kind is still waited for.
	kindReminder = time.Minute
	// A kind is served a moment before its schema is published. It is looked for as often as the first of these says, and
	// for as long as the second does, since some API servers publish none.
	schemaPoll, schemaTimeout = 200 * time.Millisecond, 10 * time.Second
)

// kinds finds out how the cluster serves kinds.
type kinds struct {
	mapper    *mapper
	discovery *discovery.DiscoveryClient
}

func newKinds(cluster *rest.Config, mgr manager.Manager, mapper *mapper) (*kinds, error) {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(cluster, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("cannot set up discovery: %w", err)
	}
	return &kinds{mapper: mapper, discovery: client}, nil
}

// wait returns the kinds as the cluster serves them, as soon as it serves all. The log and the metrics of the controller say
// what it waits for.
func (k *kinds) wait(ctx context.Context, log logr.Logger, controller string, wanted []config.GroupVersionKind) ([]reconcile.Kind, error) {
	found := make([]reconcile.Kind, 0, len(wanted))
	for _, kind := range wanted {
		served, err := k.waitOne(ctx, log, controller, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, served)
	}
	return found, nil
}

func (k *kinds) waitOne(ctx context.Context, log logr.Logger, controller string, wanted config.GroupVersionKind) (reconcile.Kind, error) {
	var said time.Time
	missing := missingKinds.WithLabelValues(controller, wanted.Kind, wanted.APIVersion)
	defer missing.Set(0)
	for {
		kind, err := k.find(ctx, wanted.Schema())
		if err == nil {
			if !said.IsZero() {
				log.Info("the cluster serves the kind now", "kind", wanted.String())
			}
			return kind, nil
		}
		missing.Set(1)
		if time.Since(said) > kindReminder {
			log.Info(waiting(err), "kind", wanted.String(), "reason", err.Error())
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return reconcile.Kind{}, ctx.Err()
		case <-time.After(kindPoll):
		}
	}
}

func waiting(err error) string {
	if meta.IsNoMatchError(err) {
		return "waiting for a kind that the cluster does not serve"
	}
	return "waiting for the cluster to say how it serves a kind"
}

func (k *kinds) find(ctx context.Context, gvk schema.GroupVersionKind) (reconcile.Kind, error) {
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
func (k *kinds) served(kind reconcile.Kind, resource string) ([]metav1.APIResource, error) {
	version := kind.GroupVersion()
	list, err := k.discovery.ServerResourcesForGroupVersion(version.String())
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return nil, fmt.Errorf("cannot ask the cluster for the resources of %s: %w", version, err)
	}
	if !gone && slices.ContainsFunc(list.APIResources, func(candidate metav1.APIResource) bool {
		return candidate.Name == resource && candidate.Kind == kind.Kind && candidate.Namespaced == kind.Namespaced
	}) {
		return list.APIResources, nil
	}
	k.mapper.forget()
	return nil, &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
}

// status says how a kind has its status: the subresource from discovery, the conditions' fields from its schema.
func (k *kinds) status(ctx context.Context, gvk schema.GroupVersionKind, resource string, served []metav1.APIResource) (options apply.StatusOptions, err error) {
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
func (k *kinds) conditionsHaveGeneration(ctx context.Context, gvk schema.GroupVersionKind) (declared bool, err error) {
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
func (k *kinds) schemas(version schema.GroupVersion) (*openAPIDocument, error) {
	document := &openAPIDocument{}
	paths, err := k.discovery.OpenAPIV3().Paths()
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
