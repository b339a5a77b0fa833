package apply

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The tests in this file pin what this package takes the API server's word for. One that fails says that an API server has
// changed, and that what rests on it must be thought over.

// statusCode returns the HTTP status code of an answer.
func statusCode(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		t.Fatal(err)
	}
	return int(answer.Status().Code)
}

// TestAPIServerPreconditions pins how an apply is made to depend on what is there.
func TestAPIServerPreconditions(t *testing.T) {
	tests := map[string]struct {
		reason       string
		there        bool
		precondition func(desired, there *unstructured.Unstructured)
		want         int
	}{
		"version 1, nothing there":   {"it creates", false, func(d, _ *unstructured.Unstructured) { d.SetResourceVersion("1") }, 200},
		"version 1, something there": {"it does not take over", true, func(d, _ *unstructured.Unstructured) { d.SetResourceVersion("1") }, 409},
		"UID, nothing there":         {"it does not create", false, func(d, _ *unstructured.Unstructured) { d.SetUID("1b0d5a2e-0000-4000-8000-000000000000") }, 409},
		"UID, another there":         {"it does not take over", true, func(d, _ *unstructured.Unstructured) { d.SetUID("1b0d5a2e-0000-4000-8000-000000000000") }, 422},
		"UID, the same there":        {"it applies", true, func(d, there *unstructured.Unstructured) { d.SetUID(there.GetUID()) }, 200},
	}
	for name, tt := range tests {
		for _, forced := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", forced"}[forced], func(t *testing.T) {
				bench := newBench(t, Options{})
				there := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {z: theirs}}`)
				if tt.there {
					create(t, there)
				}
				desired := bench.object(t, settings)
				tt.precondition(desired, there)
				options := []client.ApplyOption{client.FieldOwner(bench.manager)}
				if forced {
					options = append(options, client.ForceOwnership)
				}
				err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(desired), options...)
				if got := statusCode(t, err); got != tt.want {
					t.Errorf("%s: got %d (%v), want %d", tt.reason, got, err, tt.want)
				}
			})
		}
	}
}

// TestAPIServerPreconditionsOfStatus pins what an apply of the status does when the object was replaced. That of a custom
// resource lands on the new one: what is written there is put right when the new one is reconciled.
func TestAPIServerPreconditionsOfStatus(t *testing.T) {
	tests := map[string]struct {
		object string
		status string
		want   int
	}{
		"custom":   {`{apiVersion: apply.test/v1, kind: Widget, metadata: {name: a}}`, `{"phase":"x"}`, http.StatusOK},
		"built-in": {`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}`, `{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}`, http.StatusUnprocessableEntity},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			object := bench.object(t, tt.object)
			create(t, object)
			seen := observe(t, object)
			if err := api.Delete(t.Context(), object.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			create(t, bench.object(t, tt.object))
			_, err := bench.Status(t.Context(), seen, decode(t, tt.status), widget)
			if got := statusCode(t, err); got != tt.want {
				t.Errorf("got %d (%v), want %d", got, err, tt.want)
			}
		})
	}
}

// TestAPIServerTakesFields pins that the managedFields tell of every change that somebody else makes to what we applied.
func TestAPIServerTakesFields(t *testing.T) {
	replace := func(t *testing.T, child *unstructured.Unstructured) {
		t.Helper()
		edit(t, child, func(found map[string]any) { set(t, found, "9", "data", "a") })
	}
	patch := func(kind types.PatchType, text string) func(*testing.T, *unstructured.Unstructured) {
		return func(t *testing.T, child *unstructured.Unstructured) {
			t.Helper()
			if err := api.Patch(t.Context(), identify(child), client.RawPatch(kind, []byte(text)), client.FieldOwner("somebody")); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply := func(t *testing.T, child *unstructured.Unstructured) {
		t.Helper()
		desired := identify(child)
		desired.Object["data"] = map[string]any{"a": "9"}
		if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(desired), client.FieldOwner("somebody"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
	taken := fieldSet{"f:data": fieldSet{"f:b": fieldSet{}}}
	tests := map[string]struct {
		reason string
		change func(t *testing.T, child *unstructured.Unstructured)
		want   fieldSet
	}{
		"nothing":           {"what we applied is ours", func(*testing.T, *unstructured.Unstructured) {}, fieldSet{"f:data": fieldSet{"f:a": fieldSet{}, "f:b": fieldSet{}}}},
		"update":            {"the field is the other's", replace, taken},
		"merge patch":       {"the field is the other's", patch(types.MergePatchType, `{"data":{"a":"9"}}`), taken},
		"removal":           {"the field is nobody's", patch(types.MergePatchType, `{"data":{"a":null}}`), taken},
		"JSON patch":        {"the field is the other's", patch(types.JSONPatchType, `[{"op":"replace","path":"/data/a","value":"9"}]`), taken},
		"forced apply":      {"the field is the other's", apply, taken},
		"addition":          {"it is the other's, and nothing of ours", patch(types.MergePatchType, `{"data":{"c":"9"}}`), fieldSet{"f:data": fieldSet{"f:a": fieldSet{}, "f:b": fieldSet{}}}},
		"the same value":    {"nothing has changed", patch(types.MergePatchType, `{"data":{"a":"1"}}`), fieldSet{"f:data": fieldSet{"f:a": fieldSet{}, "f:b": fieldSet{}}}},
		"all of our fields": {"the entry goes with the last of them", patch(types.MergePatchType, `{"data":{"a":"8","b":"9"}}`), nil},
		"emptied entries":   {"whoever resets the managedFields takes all", patch(types.MergePatchType, `{"metadata":{"managedFields":[{}]}}`), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			child := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: "1", b: "2"}}`)
			if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(child.DeepCopy()), client.FieldOwner(bench.manager)); err != nil {
				t.Fatal(err)
			}
			tt.change(t, child)
			if diff := cmp.Diff(tt.want, observe(t, child).ManagedFields(bench.manager, "")); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestAPIServerEmptied pins why dropEmptied is there: were this to succeed, it could go.
func TestAPIServerEmptied(t *testing.T) {
	bench := newBench(t, Options{})
	for _, object := range []struct {
		text string
		want int
	}{
		{`{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}`, http.StatusOK},
		{`{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {}}`, http.StatusUnprocessableEntity},
	} {
		err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(bench.object(t, object.text)), client.FieldOwner(bench.manager))
		if got := statusCode(t, err); got != object.want {
			t.Errorf("%s: got %d (%v), want %d", object.text, got, err, object.want)
		}
	}
}
