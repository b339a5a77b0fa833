package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"
)

// diffRights compares what two lists of roles and bindings let accounts do: each right by itself, whatever the roles are called.
func diffRights(t *testing.T, a, b []*unstructured.Unstructured) string {
	t.Helper()
	return cmp.Diff(effective(t, a), effective(t, b))
}

// effective returns all rights, each as a line, in order.
func effective(t *testing.T, objects []*unstructured.Unstructured) (lines []string) {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range objects {
		if kind := object.GetKind(); kind == "Role" || kind == "ClusterRole" {
			role := convert[rbacv1.Role](t, object)
			rules[kind+" "+role.Namespace+"/"+role.Name] = role.Rules
		}
	}
	for _, object := range objects {
		if kind := object.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		binding := convert[rbacv1.RoleBinding](t, object)
		role := rules[binding.RoleRef.Kind+" "+binding.Namespace+"/"+binding.RoleRef.Name]
		if len(role) == 0 {
			t.Errorf("%s %s is to a role that there is not: %s", object.GetKind(), object.GetName(), binding.RoleRef.Name)
		}
		for _, subject := range binding.Subjects {
			for _, rule := range role {
				lines = append(lines, spread(subject.Namespace+"/"+subject.Name, binding.Namespace, rule)...)
			}
		}
	}
	slices.Sort(lines)
	if unique := slices.Compact(slices.Clone(lines)); len(unique) != len(lines) {
		t.Errorf("rights are given twice: %s", cmp.Diff(unique, lines))
	}
	return lines
}

func convert[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	converted := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, converted, false); err != nil {
		t.Fatal(err)
	}
	return converted
}

// spread returns each right of a rule as a line.
func spread(account, namespace string, rule rbacv1.PolicyRule) (lines []string) {
	if namespace == "" {
		namespace = "*"
	}
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					lines = append(lines, fmt.Sprintf("%s: %s %s.%s %s in %s", account, verb, resource, group, name, namespace))
				}
			}
		}
	}
	return lines
}

// served is a kind that the API server serves.
type served struct {
	apiVersion, kind, resource string
	namespaced                 bool
}

// servedKinds returns all kinds of Kubernetes that can be watched.
func servedKinds(t *testing.T) (kinds []served) {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	lists, err := client.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		if strings.Contains(list.GroupVersion, "example.com") {
			continue
		}
		for _, resource := range list.APIResources {
			if slices.Contains(resource.Verbs, "watch") {
				kinds = append(kinds, served{list.GroupVersion, resource.Kind, resource.Name, resource.Namespaced})
			}
		}
	}
	return kinds
}

// allKindsValues returns values with a controller for each kind of Kubernetes, confined to a namespace where that can be.
func allKindsValues(t *testing.T) string {
	t.Helper()
	var controllers []any
	for i, kind := range servedKinds(t) {
		controllers = append(controllers, map[string]any{
			"name": fmt.Sprintf("a-%d", i), "module": "a",
			"for": map[string]any{"apiVersion": kind.apiVersion, "kind": kind.kind, "namespaces": []any{"shop"}},
		})
	}
	values, err := yaml.Marshal(map[string]any{"config": map[string]any{
		"apiVersion": "wasmloop.dev/v1alpha1", "kind": "HostConfig",
		"modules": map[string]any{"a": map[string]any{"source": "oci://ghcr.io/acme/a:1"}}, "controllers": controllers,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(values)
}

// Of all kinds of Kubernetes the chart, and so the command, knows the plural, and which are cluster-scoped.
func TestKindsOfKubernetes(t *testing.T) {
	objects := render(t, home, "--values", writeValues(t, allKindsValues(t)), "--no-hooks")
	rights := effective(t, objects)
	for _, kind := range servedKinds(t) {
		group, _, found := strings.Cut(kind.apiVersion, "/")
		if !found {
			group = ""
		}
		where := "*"
		if kind.namespaced {
			where = "shop"
		}
		want := fmt.Sprintf("%s/%s: watch %s.%s * in %s", home, release+"-wasmloop", kind.resource, group, where)
		if !slices.Contains(rights, want) {
			t.Errorf("of %s %s there is no %q", kind.apiVersion, kind.kind, want)
		}
	}
}
