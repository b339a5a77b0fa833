package apply

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

func TestMetadata(t *testing.T) {
	type values = map[string]*string
	tests := map[string]struct {
		reason              string
		labels, annotations values
		requests            []string
		wantLabels          map[string]string
		wantAnnotations     map[string]string
	}{
		"nothing said": {
			reason:     "nothing is to be done",
			wantLabels: map[string]string{"a": "1", "b": "2"}, wantAnnotations: map[string]string{"c": "3"},
		},
		"all so already": {
			reason: "what is right costs nothing",
			labels: values{"a": new("1"), "z": nil}, annotations: values{"c": new("3"), "z": nil},
			wantLabels: map[string]string{"a": "1", "b": "2"}, wantAnnotations: map[string]string{"c": "3"},
		},
		"set, change and remove": {
			reason: "one request does it all, and what is not named is left alone",
			labels: values{"a": new("9"), "d": new("")}, annotations: values{"c": nil, "e": new("5")},
			requests:   []string{"PATCH configmaps/settings"},
			wantLabels: map[string]string{"a": "9", "b": "2", "d": ""}, wantAnnotations: map[string]string{"e": "5"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			object := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {a: "1", b: "2"}, annotations: {c: "3"}}}`)
			create(t, object)
			written, err := bench.Metadata(t.Context(), observe(t, object), tt.labels, tt.annotations)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.requests, bench.requests.take()); diff != "" {
				t.Errorf("%s: requests: -want +got:\n%s", tt.reason, diff)
			}
			found := live(t, object)
			got := []map[string]string{found.GetLabels(), found.GetAnnotations()}
			if diff := cmp.Diff([]map[string]string{tt.wantLabels, tt.wantAnnotations}, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			var want *kube.Object
			if tt.requests != nil {
				want = observe(t, object)
			}
			if diff := cmp.Diff(want, written, exported); diff != "" {
				t.Errorf("what it returns is what it wrote: -want +got:\n%s", diff)
			}
		})
	}
}

// TestMetadataBehind writes to an object that is not the one that was seen.
func TestMetadataBehind(t *testing.T) {
	bench := newBench(t, Options{})
	object := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`)
	create(t, object)
	seen := observe(t, object)
	if err := api.Delete(t.Context(), object.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]*string{"a": new("1")}
	if _, err := bench.Metadata(t.Context(), seen, wanted, nil); !apierrors.IsNotFound(err) {
		t.Errorf("it is gone: got %v, want not found", err)
	}
	create(t, bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`))
	if _, err := bench.Metadata(t.Context(), seen, wanted, nil); !apierrors.IsInvalid(err) {
		t.Errorf("it is another one: got %v, want invalid", err)
	}
}

// unservedKinds says of every kind that its objects are where nothing is.
type unservedKinds struct{ meta.RESTMapper }

func (u unservedKinds) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := u.RESTMapper.RESTMapping(kind, versions...)
	if err != nil {
		return nil, err
	}
	moved := *mapping
	moved.Resource.Resource = "no-such"
	return &moved, nil
}

func clientOfUnserved(t *testing.T) *kube.Client {
	t.Helper()
	transport, err := rest.HTTPClientFor(cluster)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.NewClient(cluster, transport, unservedKinds{mapper})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clientOfNobody returns a client of what is no API server.
func clientOfNobody(t *testing.T) *kube.Client {
	t.Helper()
	config := rest.CopyConfig(cluster)
	config.Wrap(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			recorder := httptest.NewRecorder()
			http.NotFound(recorder, request)
			return recorder.Result(), nil
		})
	})
	client, err := clientOf(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestIsGone asks for an owner which the API server has, has not any more, has under the name of another one, or cannot know of.
func TestIsGone(t *testing.T) {
	tests := map[string]struct {
		reason string
		before func(t *testing.T, bench *bench, owner *unstructured.Unstructured) Owner
		gone   bool
		err    string
	}{
		"there": {"it is not touched", func(t *testing.T, _ *bench, owner *unstructured.Unstructured) Owner {
			return OwnerOf("tester", observe(t, owner))
		}, false, ""},
		"gone": {"nobody has its name", func(t *testing.T, _ *bench, owner *unstructured.Unstructured) Owner {
			seen := observe(t, owner)
			if err := api.Delete(t.Context(), owner.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			return OwnerOf("tester", seen)
		}, true, ""},
		"replaced": {"another one has its name", func(t *testing.T, bench *bench, owner *unstructured.Unstructured) Owner {
			seen := observe(t, owner)
			if err := api.Delete(t.Context(), owner.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			create(t, bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`))
			return OwnerOf("tester", seen)
		}, true, ""},
		"kind not known": {"nobody knows", func(t *testing.T, _ *bench, owner *unstructured.Unstructured) Owner {
			seen := OwnerOf("tester", observe(t, owner))
			seen.Kind.Group = "no.such"
			return seen
		}, false, "cannot tell how the cluster serves kind ConfigMap"},
		"kind not served": {"nobody knows", func(t *testing.T, bench *bench, owner *unstructured.Unstructured) Owner {
			bench.writer = clientOfUnserved(t)
			return OwnerOf("tester", observe(t, owner))
		}, false, "could not find the requested resource"},
		"somebody else answers": {"nobody knows", func(t *testing.T, bench *bench, owner *unstructured.Unstructured) Owner {
			bench.writer = clientOfNobody(t)
			return OwnerOf("tester", observe(t, owner))
		}, false, "could not find the requested resource"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			object := bench.object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`)
			create(t, object)
			owner := tt.before(t, bench, object)
			before, _ := shown.Get(t.Context(), kube.ID{GroupVersionKind: object.GroupVersionKind(), NamespacedName: owner.NamespacedName})
			gone, err := bench.IsGone(t.Context(), owner)
			if gone != tt.gone || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %t, %v", tt.reason, gone, err)
			}
			after, _ := shown.Get(t.Context(), kube.ID{GroupVersionKind: object.GroupVersionKind(), NamespacedName: owner.NamespacedName})
			if diff := cmp.Diff(before, after, exported); diff != "" {
				t.Errorf("to ask changes nothing: -before +after:\n%s", diff)
			}
		})
	}
}
