package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
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
	mapper    meta.RESTMapper
	discovery *discovery.DiscoveryClient
}

func newKinds(cluster *rest.Config, mgr manager.Manager) (*kinds, error) {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(cluster, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("cannot set up discovery: %w", err)
	}
	return &kinds{mapper: mgr.GetRESTMapper(), discovery: client}, nil
}

// wait returns the kinds as the cluster serves them, as soon as it serves all.
func (k *kinds) wait(ctx context.Context, log logr.Logger, wanted []config.GroupVersionKind) ([]reconcile.Kind, error) {
	found := make([]reconcile.Kind, 0, len(wanted))
	for _, kind := range wanted {
		served, err := k.waitOne(ctx, log, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, served)
	}
	return found, nil
}

func (k *kinds) waitOne(ctx context.Context, log logr.Logger, wanted config.GroupVersionKind) (reconcile.Kind, error) {
	var said time.Time
	for {
		kind, err := k.find(ctx, wanted.Schema())
		if err == nil {
			if !said.IsZero() {
				log.Info("the cluster serves the kind now", "kind", wanted.String())
			}
			return kind, nil
		}
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
	kind.Status, err = k.status(ctx, gvk, mapping.Resource.Resource)
	return kind, err
}

// status says how a kind has its status: the subresource from discovery, the conditions' fields from its schema.
func (k *kinds) status(ctx context.Context, gvk schema.GroupVersionKind, resource string) (apply.StatusOptions, error) {
	var options apply.StatusOptions
	served, err := k.discovery.ServerResourcesForGroupVersion(gvk.GroupVersion().String())
	if err != nil {
		return options, fmt.Errorf("cannot ask the cluster for the resources of %s: %w", gvk.GroupVersion(), err)
	}
	for _, candidate := range served.APIResources {
		options.Subresource = options.Subresource || candidate.Name == resource+"/status"
	}
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
