package engine

import (
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// parsed returns a ConfigMap default/a with these members of its metadata.
func parsed(t *testing.T, metadata string) *kube.Object {
	t.Helper()
	object, err := kube.Parse([]byte(`{"metadata": {"name": "a", "namespace": "default", `+metadata+`}}`), schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

const (
	claimed = `"annotations": {"wasmloop.dev/owned-by": "site/7/ConfigMap/default/a"}`
	managed = `"managedFields": [{"manager": "wasmloop/site", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}]`
	owner   = `{"apiVersion": "example.com/v1", "kind": "Site", "name": "s", "uid": "7", "controller": true}`
	other   = `{"apiVersion": "example.com/v1", "kind": "Page", "name": "p", "uid": "8", "controller": true}`
)

// Only what is proven to be a child, or has a finalizer of the host's, is left over.
func TestLeftoversOf(t *testing.T) {
	owning := &config.Config{Controllers: []config.Controller{
		{Name: "site", Owns: []config.Owned{{GroupVersionKind: config.GroupVersionKind{APIVersion: "v1", Kind: "ConfigMap"}}}},
	}}
	dropped := &config.Config{Controllers: []config.Controller{{Name: "site"}}}
	removed := &config.Config{Controllers: []config.Controller{{Name: "page"}}}
	confined := &config.Config{Controllers: []config.Controller{{
		Name: "site", Owns: owning.Controllers[0].Owns,
		For: []config.Reconciled{{GroupVersionKind: config.GroupVersionKind{APIVersion: "v1", Kind: "ConfigMap"}, Namespaces: []string{"other"}}},
	}}}
	cases := map[string]struct {
		metadata string
		config   *config.Config
		want     map[string]bool // why, and whether it is held
	}{
		"a child with its owner reference": {
			claimed + `, "ownerReferences": [` + owner + `]`, removed,
			map[string]bool{"there is no controller site in the config": false},
		},
		"a child that can have none": {
			claimed + `, ` + managed, removed,
			map[string]bool{"there is no controller site in the config": false},
		},
		"a kind that is not owned any more": {
			claimed + `, ` + managed, dropped,
			map[string]bool{"controller site does not own kind ConfigMap": false},
		},
		"a child that is looked after": {claimed + `, ` + managed, owning, nil},
		"a child in a namespace that is not looked at any more": {
			claimed + `, ` + managed, confined,
			map[string]bool{"controller site does not own kind ConfigMap in namespace default": false},
		},
		"a child that goes with its owner": {claimed + `, "ownerReferences": [` + owner + `]`, confined, nil},
		"a finalizer in such a namespace": {
			`"finalizers": ["wasmloop.dev/site"]`, confined,
			map[string]bool{"controller site does not reconcile kind ConfigMap in namespace default": true},
		},
		"a mark without a proof": {claimed, removed, nil},
		"the mark of another object": {
			`"annotations": {"wasmloop.dev/owned-by": "site/7/ConfigMap/default/b"}, ` + managed, removed, nil,
		},
		"a child that another has taken over": {claimed + `, ` + managed + `, "ownerReferences": [` + other + `]`, removed, nil},
		"a proof without a mark":              {managed + `, "ownerReferences": [` + owner + `]`, removed, nil},
		"a finalizer": {
			`"finalizers": ["wasmloop.dev/site", "example.com/site"]`, removed,
			map[string]bool{"there is no controller site in the config": true},
		},
		"whatever a controller holds": {
			`"finalizers": ["wasmloop.dev/site"]`, nil, map[string]bool{"is not being deleted": true},
		},
		"and what waits for it": {
			`"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["wasmloop.dev/site"]`, nil,
			map[string]bool{"is being deleted, and waits for the controller": true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got map[string]bool
			for _, leftover := range leftoversOf(parsed(t, tc.metadata), tc.config) {
				if got == nil {
					got = map[string]bool{}
				}
				got[leftover.Why] = leftover.Held
				if leftover.Controller != "site" {
					t.Errorf("it is taken for controller %s's", leftover.Controller)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("leftovers (-want +got):\n%s", diff)
			}
		})
	}
}

// The report has one line for each controller and kind, whatever there is of it, always in the same order.
func TestSummary(t *testing.T) {
	child := Leftover{Object: parsed(t, claimed), Controller: "site", Why: "gone"}
	held := Leftover{Object: parsed(t, claimed), Controller: "site", Why: "gone", Held: true}
	counts := summarise([]Leftover{child, held, child})
	if len(counts) != 2 {
		t.Errorf("there are %d lines, want 2", len(counts))
	}
	var lines []string
	log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	for line, count := range counts {
		line.log(log, count)
	}
	said := strings.Join(lines, "\n")
	for _, part := range []string{`"objects"=2`, `"objects"=1`, "wasmloop prune --config FILE --controller site", "wasmloop release --controller site"} {
		if !strings.Contains(said, part) {
			t.Errorf("%q is not in\n%s", part, said)
		}
	}
}

// A cluster where most kinds have no objects can be looked through, and what its user may not list is told of.
func TestFindLeftovers(t *testing.T) {
	leftovers, err := NewLeftovers(cluster)
	if err != nil {
		t.Fatal(err)
	}
	found, forbidden, err := leftovers.Find(t.Context(), nil)
	if len(found)+len(forbidden) > 0 || err != nil {
		t.Errorf("found %v, forbidden %v, error %v", found, forbidden, err)
	}
	stranger := *cluster
	stranger.Impersonate.UserName = "stranger"
	if leftovers, err = NewLeftovers(&stranger); err != nil {
		t.Fatal(err)
	}
	_, forbidden, err = leftovers.Find(t.Context(), nil)
	if len(forbidden) == 0 || err != nil {
		t.Errorf("a stranger may list all: forbidden %v, error %v", forbidden, err)
	}
}
