package crash

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// The kinds in the world: Things and Realms are reconciled, the others are those of children.
var (
	thing          = kindOf("crash.test", "v1", "Thing", true)
	realm          = kindOf("crash.test", "v1", "Realm", false)
	configMap      = kindOf("", "v1", "ConfigMap", true)
	secret         = kindOf("", "v1", "Secret", true)
	service        = kindOf("", "v1", "Service", true)
	serviceAccount = kindOf("", "v1", "ServiceAccount", true)
	deployment     = kindOf("apps", "v1", "Deployment", true)
	clusterRole    = kindOf(rbacv1.GroupName, "v1", "ClusterRole", false)
)

func kindOf(group, version, name string, namespaced bool) reconcile.Kind {
	kind := reconcile.Kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: name}, Namespaced: namespaced}
	kind.Status.Subresource = group == "crash.test"
	return kind
}

var mapper = newMapper(thing, realm, configMap, secret, service, serviceAccount, deployment, clusterRole)

func newMapper(kinds ...reconcile.Kind) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range kinds {
		scope := meta.RESTScopeNamespace
		if !kind.Namespaced {
			scope = meta.RESTScopeRoot
		}
		mapper.Add(kind.GroupVersionKind, scope)
	}
	return mapper
}

var thingCRD, realmCRD = definition("things", "Thing", "Namespaced"), definition("realms", "Realm", "Cluster")

// definition defines a kind whose spec and status may be anything.
func definition(plural, kind, scope string) *apiextensionsv1.CustomResourceDefinition {
	text := `
metadata: {name: ` + plural + `.crash.test}
spec:
  group: crash.test
  scope: ` + scope + `
  names: {plural: ` + plural + `, kind: ` + kind + `}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(text), crd); err != nil {
		panic(err)
	}
	return crd
}

// controller is an entry of the host's config.
type controller struct {
	name     string
	fors     []reconcile.Kind
	owns     []reconcile.OwnedKind
	finalize bool
	adopt    bool
	maxPrune int
	module   module
}

// tester is the controller that most scenarios have: children of some kinds, kept the usual way.
func tester(change func(*controller)) controller {
	c := controller{name: "tester", fors: []reconcile.Kind{thing}, module: answering}
	for _, kind := range []reconcile.Kind{configMap, secret, service, serviceAccount, clusterRole} {
		c.owns = append(c.owns, reconcile.OwnedKind{Kind: kind, Namespaces: []string{"other"}})
	}
	if change != nil {
		change(&c)
	}
	return c
}

// keeping returns a change of a controller that keeps the children of a kind in a way of their own.
func keeping(kind reconcile.Kind, options apply.KindOptions) func(*controller) {
	return func(c *controller) { c.owned(kind.GroupVersionKind).Options = options }
}

func (c *controller) owned(kind schema.GroupVersionKind) *reconcile.OwnedKind {
	for i := range c.owns {
		if c.owns[i].GroupVersionKind == kind {
			return &c.owns[i]
		}
	}
	return nil
}

func (c *controller) kinds() (kinds []schema.GroupVersionKind) {
	for _, kind := range c.fors {
		kinds = append(kinds, kind.GroupVersionKind)
	}
	for _, kind := range c.owns {
		kinds = append(kinds, kind.GroupVersionKind)
	}
	return kinds
}

func (c *controller) reconciles(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(c.fors, func(each reconcile.Kind) bool { return each.GroupVersionKind == kind })
}

func (c *controller) applyOptions() apply.Options {
	options := apply.Options{Adopt: c.adopt, MaxPrune: c.maxPrune, Kinds: map[schema.GroupVersionKind]apply.KindOptions{}}
	for _, kind := range c.owns {
		options.Kinds[kind.GroupVersionKind] = kind.Options
	}
	return options
}

// object decodes YAML.
func object(text string) unstructuredObject {
	decoded := &unstructured.Unstructured{}
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = decoded.UnmarshalJSON(encoded)
	}
	if err != nil {
		panic(err)
	}
	return decoded
}

// value decodes YAML that is not an object of a cluster.
func value(text string) (decoded map[string]any) {
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = utiljson.Unmarshal(encoded, &decoded)
	}
	if err != nil {
		panic(err)
	}
	return decoded
}
