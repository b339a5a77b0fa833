package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// In these stories a namespaced object sees what is outside of its namespace.

const labelled = `
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, labels: {example.com/story: %s}}
data: {color: blue}
`

// ConfigMaps of another namespace, or of all, are listed as they come and go.
func TestConfigMapList(t *testing.T) {
	own, source, other := newNamespace(t), newNamespace(t), newNamespace(t)
	listOf := func(name, spec string) *unstructured.Unstructured {
		t.Helper()
		return create(t, own, fmt.Sprintf("apiVersion: config.example.com/v1\nkind: ConfigMapListing\nmetadata: {name: %s}\nspec: %s", name, spec))
	}
	create(t, source, fmt.Sprintf(labelled, "one", own))
	two := create(t, source, fmt.Sprintf(labelled, "two", own))
	create(t, source, fmt.Sprintf(settings, "unlabelled"))
	three := create(t, other, fmt.Sprintf(labelled, "three", own))
	some := listOf("some", fmt.Sprintf("{sourceNamespace: %s, sourceLabels: {example.com/story: %s}}", source, own))
	listOf("all", fmt.Sprintf("{sourceLabels: {example.com/story: %s}}", own))
	lists := func(name string, want ...string) {
		t.Helper()
		slices.Sort(want)
		waitFor(t, "v1", "ConfigMap", own, name+"-list", field(strings.Join(want, "\n"), "data", "configmaps"))
		waitFor(t, configExample, "ConfigMapListing", own, name, field(int64(len(want)), "status", "count"))
		waitFor(t, configExample, "ConfigMapListing", own, name, condition("Ready", "True"))
	}
	t.Run("those that there are", func(*testing.T) {
		lists("some", source+"/one", source+"/two")
		lists("all", source+"/one", source+"/two", other+"/three")
	})
	t.Run("one that comes", func(t *testing.T) {
		create(t, source, fmt.Sprintf(labelled, "four", own))
		lists("some", source+"/four", source+"/one", source+"/two")
		lists("all", source+"/four", source+"/one", source+"/two", other+"/three")
	})
	t.Run("not one that goes, nor one that loses the label", func(t *testing.T) {
		remove(t, two)
		set(t, three, "none", "metadata", "labels", "example.com/story")
		lists("some", source+"/four", source+"/one")
		lists("all", source+"/four", source+"/one")
	})
	t.Run("another namespace is named", func(t *testing.T) {
		set(t, three, own, "metadata", "labels", "example.com/story")
		set(t, some, other, "spec", "sourceNamespace")
		lists("some", other+"/three")
	})
	t.Run("a list that everything is on is not on itself", func(t *testing.T) {
		listOf("any", fmt.Sprintf("{sourceNamespace: %s, sourceLabels: {}}", own))
		waitFor(t, "v1", "ConfigMap", own, "any-list", func(list *unstructured.Unstructured) error {
			text, _, _ := unstructured.NestedString(list.Object, "data", "configmaps")
			names := strings.Split(text, "\n")
			if !slices.Contains(names, own+"/some-list") || !slices.Contains(names, own+"/all-list") || slices.Contains(names, own+"/any-list") {
				return fmt.Errorf("%q are listed", names)
			}
			return nil
		})
	})
	t.Run("the list goes with what asked for it", func(t *testing.T) {
		remove(t, some)
		waitUntilGone(t, "v1", "ConfigMap", own, "some-list")
		waitFor(t, "v1", "ConfigMap", other, "three", exists)
		lists("all", source+"/four", source+"/one", other+"/three")
	})
}

// Namespaces are listed as they come and go, by an object that is in one of them.
func TestNamespaceList(t *testing.T) {
	own := newNamespace(t)
	story := map[string]string{"example.com/story": own}
	first, second := newNamespaceNamed(t, own+"-a", story), newNamespaceNamed(t, own+"-b", story)
	made := create(t, own, fmt.Sprintf(`
apiVersion: config.example.com/v1
kind: NamespaceListing
metadata: {name: story}
spec: {labelSelector: {matchLabels: {example.com/story: %s}}}
`, own))
	lists := func(want ...string) {
		t.Helper()
		waitFor(t, "v1", "ConfigMap", own, "story-list", field(strings.Join(want, "\n"), "data", "namespaces"))
		waitFor(t, configExample, "NamespaceListing", own, "story", field(int64(len(want)), "status", "count"))
		waitFor(t, configExample, "NamespaceListing", own, "story", condition("Ready", "True"))
	}
	t.Run("those that there are", func(*testing.T) { lists(first.Name, second.Name) })
	third := newNamespaceNamed(t, own+"-c", nil)
	t.Run("one that gets the label", func(t *testing.T) {
		object := waitFor(t, "v1", "Namespace", "", third.Name, exists)
		set(t, object, own, "metadata", "labels", "example.com/story")
		lists(first.Name, second.Name, third.Name)
	})
	t.Run("not one that loses the label, nor one that goes", func(t *testing.T) {
		object := waitFor(t, "v1", "Namespace", "", first.Name, exists)
		set(t, object, "none", "metadata", "labels", "example.com/story")
		remove(t, second)
		lists(third.Name)
	})
	t.Run("all, when nothing is said of them", func(t *testing.T) {
		create(t, own, "apiVersion: config.example.com/v1\nkind: NamespaceListing\nmetadata: {name: everything}\nspec: {}")
		waitFor(t, "v1", "ConfigMap", own, "everything-list", func(list *unstructured.Unstructured) error {
			text, _, _ := unstructured.NestedString(list.Object, "data", "namespaces")
			names := strings.Split(text, "\n")
			if !slices.Contains(names, "kube-system") || !slices.Contains(names, own) {
				return fmt.Errorf("%q are listed", names)
			}
			return nil
		})
	})
	t.Run("the list goes with what asked for it", func(t *testing.T) {
		remove(t, made)
		waitUntilGone(t, "v1", "ConfigMap", own, "story-list")
		waitFor(t, "v1", "Namespace", "", third.Name, exists)
	})
}
