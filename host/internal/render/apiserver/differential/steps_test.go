package differential

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const otherUID = "1b0d5a2e-0000-4000-8000-000000000000"

// run is a case that is running on one of the servers.
type run struct {
	*testing.T
	api       client.Client
	namespace string
	last      *unstructured.Unstructured // what the last step was about
	version   string                     // its resourceVersion before
	uid       string                     // the last that it had
}

// step does one thing to the object of a case.
type step func(r *run) error

// parse reads an object in which $UID, $OTHER and $VERSION stand for the object's UID, that of another, and its version.
func (r *run) parse(text string) *unstructured.Unstructured {
	r.Helper()
	object := &unstructured.Unstructured{}
	encoded, err := yaml.YAMLToJSON([]byte(r.expand(text)))
	if err != nil {
		r.Fatal(err)
	}
	if err := object.UnmarshalJSON(encoded); err != nil {
		r.Fatal(err)
	}
	if namespaced, err := r.api.IsObjectNamespaced(object); err != nil {
		r.Fatal(err)
	} else if namespaced {
		object.SetNamespace(r.namespace)
	} else {
		object.SetName(r.namespace)
	}
	r.last = identity(object)
	return object
}

func identity(object *unstructured.Unstructured) *unstructured.Unstructured {
	id := &unstructured.Unstructured{Object: map[string]any{}}
	id.SetGroupVersionKind(object.GroupVersionKind())
	id.SetName(object.GetName())
	id.SetNamespace(object.GetNamespace())
	return id
}

func (r *run) expand(text string) string {
	return strings.NewReplacer("$UID", r.uid, "$OTHER", otherUID, "$VERSION", r.version).Replace(text)
}

func create(text string) step {
	return func(r *run) error { return r.api.Create(r.Context(), r.parse(text), client.FieldOwner("creator")) }
}

func update(text string) step {
	return func(r *run) error { return r.api.Update(r.Context(), r.parse(text), client.FieldOwner("updater")) }
}

// edit sends back what is there with changes.
func edit(change func(object map[string]any)) step {
	return func(r *run) error {
		object := r.last.DeepCopy()
		if err := r.api.Get(r.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object.Object)
		return r.api.Update(r.Context(), object, client.FieldOwner("editor"))
	}
}

func editStatus(change func(object map[string]any)) step {
	return func(r *run) error {
		object := r.last.DeepCopy()
		if err := r.api.Get(r.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object.Object)
		return r.api.Status().Update(r.Context(), object, client.FieldOwner("editor"))
	}
}

func apply(manager, text string, options ...client.ApplyOption) step {
	return func(r *run) error {
		return r.api.Apply(r.Context(), client.ApplyConfigurationFromUnstructured(r.parse(text)), append(options, client.FieldOwner(manager))...)
	}
}

func force(manager, text string) step { return apply(manager, text, client.ForceOwnership) }

func applyStatus(manager, text string) step {
	return func(r *run) error {
		return r.api.Status().Apply(r.Context(), client.ApplyConfigurationFromUnstructured(r.parse(text)), client.FieldOwner(manager), client.ForceOwnership)
	}
}

func merge(text string) step { return patch(types.MergePatchType, text) }

func patch(kind types.PatchType, text string) step {
	return func(r *run) error {
		return r.api.Patch(r.Context(), r.last.DeepCopy(), client.RawPatch(kind, []byte(r.expand(text))), client.FieldOwner("patcher"))
	}
}

func mergeStatus(text string) step {
	return func(r *run) error {
		return r.api.Status().Patch(r.Context(), r.last.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(r.expand(text))), client.FieldOwner("patcher"))
	}
}

func remove(options ...client.DeleteOption) step {
	return func(r *run) error { return r.api.Delete(r.Context(), r.last.DeepCopy(), options...) }
}

// removeIf deletes with preconditions, in which the variables stand for what they do in objects.
func removeIf(uid, version string) step {
	return func(r *run) error {
		preconditions := client.Preconditions{}
		if uid != "" {
			preconditions.UID = new(types.UID(r.expand(uid)))
		}
		if version != "" {
			preconditions.ResourceVersion = new(r.expand(version))
		}
		return r.api.Delete(r.Context(), r.last.DeepCopy(), preconditions)
	}
}

// outcome is what a step has led to.
type outcome struct {
	Code    int
	Reason  metav1.StatusReason
	Causes  []string
	Changed bool // the resourceVersion
	Object  map[string]any
}

// do does a step and looks at the object.
func (r *run) do(what step) outcome {
	r.Helper()
	result := outcome{Code: http.StatusOK}
	if err := what(r); err != nil {
		result.fail(r.T, err)
	}
	found := r.last.DeepCopy()
	if err := r.api.Get(r.Context(), client.ObjectKeyFromObject(found), found); err != nil {
		if !apierrors.IsNotFound(err) {
			r.Fatal(err)
		}
		return result
	}
	result.Changed = found.GetResourceVersion() != r.version
	r.version, r.uid = found.GetResourceVersion(), string(found.GetUID())
	result.Object = normalise(found, r.namespace)
	return result
}

func (o *outcome) fail(t *testing.T, err error) {
	t.Helper()
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		t.Fatal(err)
	}
	status := known.Status()
	o.Code, o.Reason = int(status.Code), status.Reason
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			o.Causes = append(o.Causes, fmt.Sprintf("%s %s", cause.Type, cause.Field))
		}
		slices.Sort(o.Causes)
		o.Causes = slices.Compact(o.Causes) // the real server looks twice at the metadata of some kinds
	}
}
