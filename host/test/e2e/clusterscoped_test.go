package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// In these stories the reconciled objects are cluster-scoped, and their children are in namespaces.

// A ConfigMap is copied into all namespaces, whatever they are called and whenever they come.
func TestGlobalConfigMap(t *testing.T) {
	office, target := newNamespace(t), newNamespace(t)
	notice := office // a name that no other story has, in any namespace
	source := create(t, office, fmt.Sprintf(settings, notice))
	made := create(t, "", fmt.Sprintf(`
apiVersion: config.example.com/v1
kind: GlobalConfigMap
metadata: {name: %[1]s}
spec: {source: {namespace: %[1]s, name: %[1]s}}
`, office))
	copied := func(namespace, color string) *unstructured.Unstructured {
		t.Helper()
		return waitFor(t, "v1", "ConfigMap", namespace, notice, field(color, "data", "color"))
	}
	ready := func(reason string) {
		t.Helper()
		waitFor(t, configExample, "GlobalConfigMap", "", office, conditionReason("Ready", reason))
	}
	t.Run("into those that there are", func(t *testing.T) {
		copied(target, "blue")
		eventually(t, func() error { return copiedEverywhere(t, made, notice) })
		ready("Copied")
	})
	fresh := newNamespaceNamed(t, office+"-new", nil)
	t.Run("into one that is new", func(*testing.T) { copied(fresh.Name, "blue") })
	remove(t, fresh)
	t.Run("not into one that is gone", func(t *testing.T) {
		waitUntilGone(t, "v1", "Namespace", "", fresh.Name)
		eventually(t, func() error { return copiedEverywhere(t, made, notice) })
	})
	t.Run("a changed original is followed", func(t *testing.T) {
		set(t, source, "green", "data", "color")
		copied(target, "green")
		copied("kube-system", "green")
	})
	t.Run("a copy is no place for changes", func(t *testing.T) {
		set(t, copied(target, "green"), "red", "data", "color")
		old := copied(target, "green")
		remove(t, old)
		waitFor(t, "v1", "ConfigMap", target, notice, anotherThan(old))
	})
	t.Run("without an original there are no copies", func(t *testing.T) {
		remove(t, source)
		waitUntilGone(t, "v1", "ConfigMap", target, notice)
		waitUntilGone(t, "v1", "ConfigMap", "kube-system", notice)
		ready("SourceMissing")
		create(t, office, fmt.Sprintf(settings, notice))
		copied(target, "blue")
		ready("Copied")
	})
	t.Run("the copies go with what asked for them", func(t *testing.T) {
		remove(t, made)
		eventually(t, func() error {
			found := &corev1.ConfigMapList{}
			if err := api.List(t.Context(), found); err != nil {
				return err
			}
			for _, left := range found.Items {
				if left.Name == notice && left.Namespace != office {
					return fmt.Errorf("the copy of namespace %s is still there", left.Namespace)
				}
			}
			return nil
		})
		waitFor(t, "v1", "ConfigMap", office, notice, exists)
	})
}

// copiedEverywhere says what keeps a GlobalConfigMap from having copies in all namespaces that there are, and from knowing how
// many these are.
func copiedEverywhere(t *testing.T, made *unstructured.Unstructured, name string) error {
	t.Helper()
	namespaces := &corev1.NamespaceList{}
	if err := api.List(t.Context(), namespaces); err != nil {
		return err
	}
	copies := int64(0)
	for _, namespace := range namespaces.Items {
		if namespace.DeletionTimestamp != nil || namespace.Name == made.GetName() {
			continue
		}
		found, err := get(t, "v1", "ConfigMap", namespace.Name, name)
		if err != nil {
			return err
		}
		if err := controlledBy(made)(found); err != nil {
			return err
		}
		copies++
	}
	now, err := get(t, configExample, made.GetKind(), "", made.GetName())
	if err != nil {
		return err
	}
	return field(copies, "status", "copies")(now)
}

// A ClusterRole is bound in the namespace that its annotation names, as long as it does.
func TestClusteredParent(t *testing.T) {
	const (
		rbac       = "rbac.authorization.k8s.io/v1"
		annotation = "clusteredparent.example.com/bind-in"
		finalizer  = "wasmloop.dev/clusteredparent"
	)
	near, far := newNamespace(t), newNamespace(t)
	name := "story:" + near
	role := create(t, "", fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: %s
  annotations: {%s: %s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
`, name, annotation, near))
	bound := func(namespace string) *unstructured.Unstructured {
		t.Helper()
		binding := waitFor(t, rbac, "RoleBinding", namespace, name, controlledBy(role))
		subjects, _, _ := unstructured.NestedSlice(binding.Object, "subjects")
		if to, _ := subjects[0].(map[string]any); to["name"] != "default" || to["namespace"] != namespace {
			t.Errorf("in namespace %s the role is given to %v", namespace, to)
		}
		return binding
	}
	bindIn := func(annotations map[string]any) {
		t.Helper()
		set(t, role, annotations, "metadata", "annotations")
	}
	t.Run("it is bound", func(t *testing.T) {
		bound(near)
		waitFor(t, rbac, "ClusterRole", "", name, held(finalizer))
	})
	t.Run("a deleted binding is made again", func(t *testing.T) {
		old := bound(near)
		remove(t, old)
		waitFor(t, rbac, "RoleBinding", near, name, anotherThan(old))
	})
	t.Run("another namespace is named", func(t *testing.T) {
		bindIn(map[string]any{annotation: far})
		bound(far)
		waitUntilGone(t, rbac, "RoleBinding", near, name)
	})
	t.Run("one is named that comes later", func(t *testing.T) {
		late := near + "-late"
		bindIn(map[string]any{annotation: late})
		waitForWarning(t, role, "NamespaceMissing", late)
		waitUntilGone(t, rbac, "RoleBinding", far, name)
		newNamespaceNamed(t, late, nil)
		bound(late)
	})
	t.Run("none is named any more, and it is let go", func(t *testing.T) {
		bindIn(map[string]any{annotation: near})
		bound(near)
		bindIn(map[string]any{})
		waitUntilGone(t, rbac, "RoleBinding", near, name)
		waitFor(t, rbac, "ClusterRole", "", name, func(role *unstructured.Unstructured) error {
			if held(finalizer)(role) == nil {
				return fmt.Errorf("%s has the finalizer still", role.GetName())
			}
			return nil
		})
	})
	t.Run("the binding goes with the role", func(t *testing.T) {
		bindIn(map[string]any{annotation: near})
		bound(near)
		waitFor(t, rbac, "ClusterRole", "", name, held(finalizer))
		remove(t, role)
		waitUntilGone(t, rbac, "ClusterRole", "", name)
		if _, err := get(t, rbac, "RoleBinding", near, name); !apierrors.IsNotFound(err) {
			t.Errorf("the binding is still there: %v", err)
		}
	})
	t.Run("a role that nobody annotated had no part in it", func(t *testing.T) {
		if held(finalizer)(waitFor(t, rbac, "ClusterRole", "", "view", exists)) == nil {
			t.Error("view has the finalizer")
		}
	})
}
