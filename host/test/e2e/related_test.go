package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const configExample = "config.example.com/v1"

// newNamespaceNamed makes a namespace that may be gone when the test ends.
func newNamespaceNamed(t *testing.T, name string, labels map[string]string) *corev1.Namespace {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	eventually(t, func() error { return api.Create(t.Context(), namespace) }) // one of this name may still be going
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(api.Delete(context.WithoutCancel(t.Context()), namespace)); err != nil && !apierrors.IsConflict(err) {
			t.Error(err)
		}
	})
	return namespace
}

const settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: %s}
data: {color: blue}
`

const propagation = `
apiVersion: config.example.com/v1
kind: ConfigMapPropagation
metadata: {name: %[1]s}
spec: {source: %[1]s, targetNamespaces: [%[2]s]}
`

// A ConfigMap is copied into namespaces that are there and that come later, and the copies do what it does.
func TestConfigMapPropagation(t *testing.T) {
	namespace, target := newNamespace(t), newNamespace(t)
	late := namespace + "-late"
	source := create(t, namespace, fmt.Sprintf(settings, "settings"))
	bystander := create(t, namespace, fmt.Sprintf(settings, "other"))
	made := create(t, namespace, fmt.Sprintf(propagation, "settings", target+", "+late))
	create(t, namespace, fmt.Sprintf(propagation, "other", target))
	copied := func(namespace, color string) *unstructured.Unstructured {
		t.Helper()
		return waitFor(t, "v1", "ConfigMap", namespace, "settings", field(color, "data", "color"))
	}
	ready := func(status string) {
		t.Helper()
		waitFor(t, configExample, "ConfigMapPropagation", namespace, "settings", condition("Ready", status))
	}
	other := waitFor(t, "v1", "ConfigMap", target, "other", exists)
	copied(target, "blue")
	waitFor(t, configExample, "ConfigMapPropagation", namespace, "settings", conditionReason("Ready", "NamespacesMissing"))
	lateNamespace := newNamespaceNamed(t, late, nil)
	t.Run("a namespace that comes later gets its copy", func(*testing.T) {
		copied(late, "blue")
		ready("True")
	})
	remove(t, lateNamespace)
	t.Run("one that goes is waited for again", func(*testing.T) {
		ready("False")
		copied(target, "blue")
	})
	newNamespaceNamed(t, late, nil)
	t.Run("and when it comes again, so does the copy", func(*testing.T) {
		copied(late, "blue")
		ready("True")
	})
	t.Run("a changed original is followed", func(t *testing.T) {
		set(t, source, "green", "data", "color")
		copied(target, "green")
		copied(late, "green")
	})
	t.Run("a copy is no place for changes", func(t *testing.T) {
		set(t, copied(target, "green"), "red", "data", "color")
		copied(target, "green")
		old := copied(late, "green")
		remove(t, old)
		waitFor(t, "v1", "ConfigMap", late, "settings", anotherThan(old))
	})
	t.Run("a namespace that is not listed any more loses its copy", func(t *testing.T) {
		set(t, made, []any{target}, "spec", "targetNamespaces")
		waitUntilGone(t, "v1", "ConfigMap", late, "settings")
		copied(target, "green")
	})
	t.Run("without an original there are no copies", func(t *testing.T) {
		remove(t, source)
		waitUntilGone(t, "v1", "ConfigMap", target, "settings")
		ready("False")
		create(t, namespace, fmt.Sprintf(settings, "settings"))
		copied(target, "blue")
		ready("True")
	})
	t.Run("the copies go with what asked for them", func(t *testing.T) {
		remove(t, made)
		waitUntilGone(t, configExample, "ConfigMapPropagation", namespace, "settings")
		if _, err := get(t, "v1", "ConfigMap", target, "settings"); !apierrors.IsNotFound(err) {
			t.Errorf("the copy is still there: %v", err)
		}
		waitFor(t, "v1", "ConfigMap", namespace, "settings", exists)
	})
	t.Run("another original and its copy had no part in it", func(t *testing.T) {
		now := waitFor(t, "v1", "ConfigMap", target, "other", exists)
		if now.GetResourceVersion() != other.GetResourceVersion() {
			t.Error("the other copy was written")
		}
		set(t, bystander, "white", "data", "color")
		waitFor(t, "v1", "ConfigMap", target, "other", field("white", "data", "color"))
	})
}

// One related object that many share is followed by each of them, and by nobody else.
func TestSharedRelated(t *testing.T) {
	const followers = 20
	namespace, target := newNamespace(t), newNamespace(t)
	source := create(t, namespace, fmt.Sprintf(settings, "settings"))
	create(t, namespace, fmt.Sprintf(settings, "lonely"))
	create(t, namespace, fmt.Sprintf(propagation, "lonely", target))
	lonely := waitFor(t, configExample, "ConfigMapPropagation", namespace, "lonely", condition("Ready", "True"))
	for i := range followers {
		newNamespaceNamed(t, fmt.Sprintf("%s-%d", namespace, i), nil)
		create(t, namespace, fmt.Sprintf(`
apiVersion: config.example.com/v1
kind: ConfigMapPropagation
metadata: {name: follower-%d}
spec: {source: settings, targetNamespaces: [%s-%[1]d]}
`, i, namespace))
	}
	for _, color := range []string{"blue", "green"} {
		set(t, source, color, "data", "color")
		for i := range followers {
			waitFor(t, "v1", "ConfigMap", fmt.Sprintf("%s-%d", namespace, i), "settings", field(color, "data", "color"))
		}
	}
	now := waitFor(t, configExample, "ConfigMapPropagation", namespace, "lonely", exists)
	if now.GetResourceVersion() != lonely.GetResourceVersion() {
		t.Error("one that asked for something else was written")
	}
}

const pullSecret = `
apiVersion: v1
kind: Secret
metadata: {name: pull}
type: %s
stringData: {token: %s}
`

// A Secret is copied into the namespaces that have a label, as long as they have it.
func TestSecretPropagation(t *testing.T) {
	vault, labelled, other := newNamespace(t), newNamespace(t), newNamespace(t)
	label := func(namespace string, value any) {
		t.Helper()
		object, err := get(t, "v1", "Namespace", "", namespace)
		if err != nil {
			t.Fatal(err)
		}
		set(t, object, value, "metadata", "labels", "example.com/story")
	}
	label(labelled, vault)
	source := create(t, vault, fmt.Sprintf(pullSecret, "Opaque", "one"))
	made := create(t, "", fmt.Sprintf(`
apiVersion: config.example.com/v1
kind: SecretPropagation
metadata: {name: %[1]s}
spec:
  source: {namespace: %[1]s, name: pull}
  namespaceSelector: {matchLabels: {example.com/story: %[1]s}}
`, vault))
	copied := func(namespace, token string) *unstructured.Unstructured {
		t.Helper()
		return waitFor(t, "v1", "Secret", namespace, "pull", field(token, "data", "token"))
	}
	const one, two = "b25l", "dHdv"
	t.Run("into those that there are", func(t *testing.T) {
		copied(labelled, one)
		if _, err := get(t, "v1", "Secret", other, "pull"); !apierrors.IsNotFound(err) {
			t.Errorf("one without the label has a copy: %v", err)
		}
	})
	t.Run("into one that gets the label", func(*testing.T) {
		label(other, vault)
		copied(other, one)
	})
	fresh := newNamespaceNamed(t, vault+"-new", map[string]string{"example.com/story": vault})
	t.Run("into one that is new", func(t *testing.T) {
		copied(fresh.Name, one)
		waitFor(t, configExample, "SecretPropagation", "", vault, field(int64(3), "status", "copies"))
	})
	remove(t, fresh)
	t.Run("not into one that is gone", func(t *testing.T) {
		waitFor(t, configExample, "SecretPropagation", "", vault, field(int64(2), "status", "copies"))
	})
	t.Run("nor into one that loses the label", func(t *testing.T) {
		label(other, "none")
		waitUntilGone(t, "v1", "Secret", other, "pull")
		copied(labelled, one)
	})
	t.Run("another token, and another type, which cannot be changed", func(t *testing.T) {
		set(t, source, two, "data", "token")
		old := copied(labelled, two)
		remove(t, source)
		waitUntilGone(t, "v1", "Secret", labelled, "pull")
		create(t, vault, fmt.Sprintf(pullSecret, "example.com/token", "one"))
		waitFor(t, "v1", "Secret", labelled, "pull", anotherThan(old))
		waitFor(t, "v1", "Secret", labelled, "pull", field("example.com/token", "type"))
	})
	t.Run("the copies go with what asked for them", func(t *testing.T) {
		remove(t, made)
		waitUntilGone(t, "v1", "Secret", labelled, "pull")
		waitFor(t, "v1", "Secret", vault, "pull", exists)
	})
}

const ring = `
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: ring
  annotations: {serviceperpod.example.com/ports: "80:8080"}
spec:
  replicas: 2
  serviceName: ring
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: ring}}
  template:
    metadata: {labels: {app: ring}}
    spec:
      containers: [{name: peer, image: example.com/peer}]
`

// Each Pod of an annotated StatefulSet has a Service, and when the annotation goes, the StatefulSet is let go.
func TestServicePerPod(t *testing.T) {
	namespace := newNamespace(t)
	const finalizer = "wasmloop.dev/serviceperpod"
	set0 := create(t, namespace, ring)
	leads := func(pod string) *unstructured.Unstructured {
		t.Helper()
		return waitFor(t, "v1", "Service", namespace, pod, field(pod, "spec", "selector", "statefulset.kubernetes.io/pod-name"))
	}
	held := func(want bool) {
		t.Helper()
		waitFor(t, "apps/v1", "StatefulSet", namespace, "ring", func(object *unstructured.Unstructured) error {
			for _, found := range object.GetFinalizers() {
				if found == finalizer {
					if want {
						return nil
					}
					return errors.New("it has the finalizer")
				}
			}
			if want {
				return errors.New("it does not have the finalizer")
			}
			return nil
		})
	}
	t.Run("one for each Pod", func(t *testing.T) {
		leads("ring-0")
		leads("ring-1")
		held(true)
		set(t, set0, int64(3), "spec", "replicas")
		leads("ring-2")
		set(t, set0, int64(1), "spec", "replicas")
		waitUntilGone(t, "v1", "Service", namespace, "ring-2")
		waitUntilGone(t, "v1", "Service", namespace, "ring-1")
	})
	t.Run("a Pod that is made anew keeps its Service", func(t *testing.T) {
		service := leads("ring-0")
		pod := waitFor(t, "v1", "Pod", namespace, "ring-0", exists)
		remove(t, pod)
		waitFor(t, "v1", "Pod", namespace, "ring-0", anotherThan(pod))
		if now := leads("ring-0"); now.GetUID() != service.GetUID() {
			t.Error("it is another Service")
		}
	})
	t.Run("an annotation that is wrong changes nothing, and the StatefulSet says so", func(t *testing.T) {
		set(t, set0, "http", "metadata", "annotations", "serviceperpod.example.com/ports")
		waitForWarning(t, set0, "InvalidPorts", `"http" is no port`)
		leads("ring-0")
	})
	t.Run("without the annotation there are none, and it is let go", func(t *testing.T) {
		set(t, set0, map[string]any{}, "metadata", "annotations")
		waitUntilGone(t, "v1", "Service", namespace, "ring-0")
		held(false)
		shared.waitForLog(t, "object is not selected any more", `"controller":"serviceperpod"`, namespace+"/ring")
	})
	t.Run("with the annotation they are back", func(t *testing.T) {
		set(t, set0, map[string]any{"serviceperpod.example.com/ports": "90"}, "metadata", "annotations")
		leads("ring-0")
		held(true)
	})
	t.Run("they go with the StatefulSet", func(t *testing.T) {
		remove(t, set0)
		waitUntilGone(t, "apps/v1", "StatefulSet", namespace, "ring")
		waitUntilGone(t, "v1", "Service", namespace, "ring-0")
	})
}

// A CustomResourceDefinition that asks for them has roles, which are cluster-scoped as it is.
func TestCRDRoles(t *testing.T) {
	const rbac = "rbac.authorization.k8s.io/v1"
	boats := create(t, "", `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: boats.example.com
  annotations: {crdroles.example.com/roles: "true"}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Boat, plural: boats, singular: boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`)
	view, edit := "boats.example.com-view", "boats.example.com-edit"
	toView := []string{"metadata", "labels", "rbac.authorization.k8s.io/aggregate-to-view"}
	t.Run("it asks for them", func(t *testing.T) {
		waitFor(t, rbac, "ClusterRole", "", view, controlledBy(boats))
		waitFor(t, rbac, "ClusterRole", "", edit, controlledBy(boats))
		if role := waitFor(t, rbac, "ClusterRole", "", view, exists); field("true", toView...)(role) == nil {
			t.Error("nobody asked for them to be aggregated")
		}
	})
	t.Run("it asks for more", func(t *testing.T) {
		set(t, boats, map[string]any{"crdroles.example.com/roles": "aggregate"}, "metadata", "annotations")
		waitFor(t, rbac, "ClusterRole", "", view, field("true", toView...))
		waitFor(t, rbac, "ClusterRole", "", "view", func(role *unstructured.Unstructured) error {
			rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
			for _, rule := range rules {
				groups, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "apiGroups")
				if len(groups) == 1 && groups[0] == "example.com" {
					return nil
				}
			}
			return errors.New("the role view does not let boats be read")
		})
	})
	t.Run("it does not ask any more", func(t *testing.T) {
		set(t, boats, map[string]any{}, "metadata", "annotations")
		waitUntilGone(t, rbac, "ClusterRole", "", view)
		waitUntilGone(t, rbac, "ClusterRole", "", edit)
	})
	t.Run("they go with it", func(t *testing.T) {
		set(t, boats, map[string]any{"crdroles.example.com/roles": "true"}, "metadata", "annotations")
		waitFor(t, rbac, "ClusterRole", "", edit, exists)
		remove(t, boats)
		waitUntilGone(t, rbac, "ClusterRole", "", edit)
	})
}
