package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestDecode(t *testing.T) {
	status := schema.GroupVersionKind{Group: "kube.test", Version: "v1", Kind: "Status"}
	tests := map[string]struct {
		reason string
		text   string
		want   runtime.Object
	}{
		"object": {
			"it is kept as it is", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`,
			&Object{Kind: configMapKind, NamespacedName: types.NamespacedName{Name: "a"}, JSON: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)},
		},
		"failure": {
			"callers ask for its reason", `{"apiVersion":"v1","kind":"Status","metadata":{},"status":"Failure","reason":"Expired","code":410}`,
			&metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: "Expired", Code: 410},
		},
		"object of another kind by that name": {
			"kinds may be named as their authors like", `{"apiVersion":"kube.test/v1","kind":"Status","metadata":{"name":"a"}}`,
			&Object{Kind: status, NamespacedName: types.NamespacedName{Name: "a"}, JSON: []byte(`{"apiVersion":"kube.test/v1","kind":"Status","metadata":{"name":"a"}}`)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := codec{}.Decode([]byte(tt.text), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, exported); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestDecodeEvent reads two events from one buffer, as a watch does.
func TestDecodeEvent(t *testing.T) {
	buffer := []byte(`{"type":"ADDED","object":{"kind":"ConfigMap","metadata":{"name":"a"}}}`)
	event := &metav1.WatchEvent{}
	if _, _, err := (codec{}).Decode(buffer, nil, event); err != nil {
		t.Fatal(err)
	}
	clear(buffer)
	want := &metav1.WatchEvent{Type: "ADDED", Object: runtime.RawExtension{Raw: []byte(`{"kind":"ConfigMap","metadata":{"name":"a"}}`)}}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("the next event must not overwrite it: -want +got:\n%s", diff)
	}
	if _, _, err := (codec{}).Decode([]byte(`{"type":"ADDED"`), nil, event); err == nil {
		t.Error("an event that broke off: want an error")
	}
}
