package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// patience is how long a story waits for what must happen: far longer than it takes, since machines differ.
const patience = 60 * time.Second

// eventually tries until there is no error.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("after %s still: %v", patience, err)
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}
	if err := api.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.WithoutCancel(t.Context()), namespace); err != nil {
			t.Error(err)
		}
	})
	return namespace.Name
}

// create creates an object from YAML in a namespace.
func create(t *testing.T, namespace, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace(namespace)
	if err := api.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// set sets one field of an object, whatever happens to the object meanwhile.
func set(t *testing.T, object *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
			return err
		}
		return api.Update(t.Context(), object)
	})
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := api.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// get returns an object, or an error.
func get(t *testing.T, apiVersion, kind, namespace, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	return object, err
}

// waitFor waits until an object exists and holds says nothing against it.
func waitFor(t *testing.T, apiVersion, kind, namespace, name string, holds func(*unstructured.Unstructured) error) *unstructured.Unstructured {
	t.Helper()
	var object *unstructured.Unstructured
	eventually(t, func() (err error) {
		if object, err = get(t, apiVersion, kind, namespace, name); err != nil {
			return err
		}
		return holds(object)
	})
	return object
}

func waitUntilGone(t *testing.T, apiVersion, kind, namespace, name string) {
	t.Helper()
	eventually(t, func() error {
		_, err := get(t, apiVersion, kind, namespace, name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s %s is still there (%w)", kind, name, err)
	})
}

func exists(*unstructured.Unstructured) error { return nil }

// field returns a function that wants a field to have a value.
func field(want any, path ...string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		if got, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...); got != want {
			return fmt.Errorf("%s of %s is %v, want %v", strings.Join(path, "."), object.GetName(), got, want)
		}
		return nil
	}
}

// anotherThan returns a function that wants an object in the place of old.
func anotherThan(old *unstructured.Unstructured) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		if object.GetUID() == old.GetUID() {
			return fmt.Errorf("%s is the old one", object.GetName())
		}
		return nil
	}
}

// condition returns a function that wants a condition to have a status.
func condition(kind, status string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		for _, item := range conditions {
			if c, _ := item.(map[string]any); c["type"] == kind && c["status"] == status {
				return nil
			}
		}
		return fmt.Errorf("%s has no condition %s=%s: %v", object.GetName(), kind, status, conditions)
	}
}

// waitForWarning waits for a Warning event on an object with this reason and these parts in its message.
func waitForWarning(t *testing.T, object *unstructured.Unstructured, reason string, parts ...string) {
	t.Helper()
	eventually(t, func() error {
		events := &corev1.EventList{}
		if err := api.List(t.Context(), events, client.InNamespace(object.GetNamespace())); err != nil {
			return err
		}
		var others []string
		for _, e := range events.Items {
			if e.InvolvedObject.UID != object.GetUID() {
				continue
			}
			if e.Type == corev1.EventTypeWarning && e.Reason == reason && process.HasAll(e.Message, parts) {
				return nil
			}
			others = append(others, fmt.Sprintf("%s %s: %s", e.Type, e.Reason, e.Message))
		}
		return fmt.Errorf("no Warning %s with %q on %s; there are %q", reason, parts, object.GetName(), others)
	})
}
