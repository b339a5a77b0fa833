package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

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
