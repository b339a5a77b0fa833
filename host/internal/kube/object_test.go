package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func parse(t *testing.T, text string) *Object {
	t.Helper()
	object, err := Parse([]byte(text), configMapKind)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// TestObject asks an object for what is decoded only when it is asked for.
func TestObject(t *testing.T) {
	object := parse(t, `{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","labels":{"l":"1"},"annotations":{"a":"2",`+
		`"wasmloop.dev/applied":"h"},"ownerReferences":[{"kind":"O","name":"o","uid":"1"},{"kind":"C","name":"c","uid":"2","controller":true}],`+
		`"managedFields":[{"manager":"wasmloop/c","operation":"Apply","fieldsV1":{"f:data":{"f:k":{}}}}]},"data":{"n":1,"f":1.5}}`)
	labels, annotations, err := object.LabelsAndAnnotations()
	if err != nil {
		t.Fatal(err)
	}
	data, err := object.Field("data")
	if err != nil {
		t.Fatal(err)
	}
	none, err := object.Field("none")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := object.Decode()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"mark": object.Mark("wasmloop.dev/applied"), "other mark": object.Mark("wasmloop.dev/owned-by"), "controller": object.Controller().Name,
		"manages": object.Manages("wasmloop/c", ""), "manages status": object.Manages("wasmloop/c", "status"), "manages for another": object.Manages("wasmloop/d", ""),
		"fields": object.ManagedFields("wasmloop/c", ""), "no fields": object.ManagedFields("wasmloop/d", ""),
		"labels": labels, "annotations": annotations, "data": data, "none": none, "whole data": whole["data"],
		"string": object.String(), "kind": object.GetObjectKind().GroupVersionKind(),
		"reference": object.Reference().Object,
	}
	want := map[string]any{
		"mark": "h", "other mark": "", "controller": "c",
		"manages": true, "manages status": false, "manages for another": false,
		"fields": map[string]any{"f:data": map[string]any{"f:k": map[string]any{}}}, "no fields": map[string]any(nil),
		"labels": map[string]string{"l": "1"}, "annotations": map[string]string{"a": "2"},
		"data": map[string]any{"n": int64(1), "f": 1.5}, "none": nil, "whole data": map[string]any{"n": int64(1), "f": 1.5},
		"string": "ConfigMap n/a", "kind": configMapKind,
		"reference": map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := parse(t, `{"metadata":{"ownerReferences":[{"uid":"1"}]}}`).Controller(); got != nil {
		t.Errorf("an owner that is no controller: got %v", got)
	}
}

// TestObjectForInformers has what informers read, and no more.
func TestObjectForInformers(t *testing.T) {
	object := parse(t, `{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","generation":2,"annotations":{"a":"2"}}}`)
	want := &metav1.ObjectMeta{Name: "a", Namespace: "n", UID: "u", ResourceVersion: "7", Generation: 2}
	if diff := cmp.Diff(metav1.Object(want), object.GetObjectMeta()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	bookmark := parse(t, `{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}`)
	want = &metav1.ObjectMeta{ResourceVersion: "7", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}
	if diff := cmp.Diff(metav1.Object(want), bookmark.GetObjectMeta()); diff != "" {
		t.Errorf("a bookmark says when the initial list ends: -want +got:\n%s", diff)
	}
}

func TestSubject(t *testing.T) {
	kind := schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "K"}
	for name, want := range map[types.NamespacedName]string{{Namespace: "n", Name: "a"}: "K n/a", {Name: "a"}: "K a"} {
		if got := (ID{kind, name}).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
