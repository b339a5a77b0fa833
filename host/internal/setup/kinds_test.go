package setup

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// cluster is the API server that the tests share.
var cluster *rest.Config

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, "testdata/crds.yaml", func(config *rest.Config) error {
		cluster = config
		return nil
	}))
}

func kindsOf(t *testing.T) *Kinds {
	t.Helper()
	client, err := rest.HTTPClientFor(cluster)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := NewKinds(cluster, client, NewMapper(cluster, client))
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

func TestFindKind(t *testing.T) {
	kinds := kindsOf(t)
	tests := map[string]struct {
		reason     string
		kind       schema.GroupVersionKind
		namespaced bool
		status     apply.StatusOptions
	}{
		"built-in, without conditions' generation": {
			"DeploymentCondition has no such field",
			schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			true,
			apply.StatusOptions{Subresource: true},
		},
		"built-in, with conditions' generation": {
			"a Service has the conditions of apimachinery, through references",
			schema.GroupVersionKind{Version: "v1", Kind: "Service"},
			true,
			apply.StatusOptions{Subresource: true, ObservedGeneration: true},
		},
		"built-in, without conditions": {
			"there is nothing to fill in",
			schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "CronJob"},
			true,
			apply.StatusOptions{Subresource: true},
		},
		"built-in, without status": {
			"it has no subresource",
			schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
			true,
			apply.StatusOptions{},
		},
		"built-in, cluster-scoped": {
			"it has no namespace",
			schema.GroupVersionKind{Version: "v1", Kind: "Namespace"},
			false,
			apply.StatusOptions{Subresource: true},
		},
		"custom": {
			"its schema declares the field",
			schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Modern"},
			true,
			apply.StatusOptions{Subresource: true, ObservedGeneration: true},
		},
		"custom, in another version": {
			"each version has its own schema",
			schema.GroupVersionKind{Group: "engine.test", Version: "v1alpha1", Kind: "Modern"},
			true,
			apply.StatusOptions{Subresource: true},
		},
		"custom, without subresource": {
			"a status write would bump the generation, and so on for ever",
			schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Plain"},
			false,
			apply.StatusOptions{},
		},
		"custom, without schema": {
			"nothing is filled in that nobody asked for",
			schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Free"},
			true,
			apply.StatusOptions{Subresource: true},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := kinds.Find(t.Context(), tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			want := reconcile.Kind{GroupVersionKind: tt.kind, Namespaced: tt.namespaced, Status: tt.status}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestFindUnknownKind(t *testing.T) {
	kinds := kindsOf(t)
	for name, kind := range map[string]schema.GroupVersionKind{
		"unknown group":   {Group: "none.test", Version: "v1", Kind: "Modern"},
		"unknown version": {Group: "engine.test", Version: "v9", Kind: "Modern"},
		"unknown kind":    {Group: "engine.test", Version: "v1", Kind: "None"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := kinds.Find(t.Context(), kind); !meta.IsNoMatchError(err) {
				t.Errorf("it may be served later: got error %v, want one that says that it is not", err)
			}
		})
	}
}
