package modinfo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// greeting has something in each field.
var greeting = &Metadata{
	Name: "greeting", Version: "0.1.0", Description: `Greets: "hello".`, ABIVersion: 1, Revision: "abc-dirty",
	For: []Kind{
		{APIVersion: "example.com/v1", Kind: "Greeting", Resource: "greetingz"},
		{APIVersion: "v1", Kind: "Namespace"},
	},
	Owns:    []Kind{{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespaces: []string{"*"}}},
	Related: []Kind{{APIVersion: "v1", Kind: "Secret", Namespaces: []string{"on", "other"}}},
	Clock:   true, Finalize: true,
}

func TestEmbedAndRead(t *testing.T) {
	wasm, err := Embed(fixture(t, "answers.wasm"), greeting)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(greeting, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRead(t *testing.T) {
	tests := map[string]struct {
		reason  string
		section string
		want    *Metadata
		fails   bool
	}{
		"a later field":     {"a later wasmloop may have written it", `{"name": "a", "colour": "blue"}`, &Metadata{Name: "a"}, false},
		"no JSON":           {"another tool wrote it", `name: a`, nil, true},
		"control character": {"it would be printed on a terminal", `{"name": "a", "description": "\u001b[2J"}`, nil, true},
		"kind with YAML":    {"it would be pasted into a config", `{"name": "a", "for": [{"apiVersion": "v1", "kind": "Pod}"}]}`, nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wasm, err := writeCustom(fixture(t, "answers.wasm"), Section, []byte(tt.section))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Read(wasm)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.fails {
				t.Errorf("%s: got error %v, -want +got:\n%s", tt.reason, err, diff)
			}
		})
	}
	if got, err := Read(fixture(t, "answers.wasm")); got != nil || err != nil {
		t.Errorf("without a section: got %v, %v, want neither", got, err)
	}
}

func TestParse(t *testing.T) {
	tests := map[string]struct {
		reason string
		text   string
		want   *Metadata // nil: an error
	}{
		"one kind": {
			"as in the config file", "name: a\nfor: {apiVersion: v1, kind: Pod}\n",
			&Metadata{Name: "a", For: []Kind{{APIVersion: "v1", Kind: "Pod"}}},
		},
		"kinds": {
			"likewise", "name: a\nfor: [{apiVersion: v1, kind: Pod}]\nowns: [{apiVersion: apps/v1, kind: Deployment}]\nclock: true\n",
			&Metadata{Name: "a", For: []Kind{{APIVersion: "v1", Kind: "Pod"}}, Owns: []Kind{{APIVersion: "apps/v1", Kind: "Deployment"}}, Clock: true},
		},
		"unknown field":           {"it is most likely a spelling mistake", "name: a\nown: []\n", nil},
		"unknown field of a kind": {"likewise", "name: a\nfor: {apiVersion: v1, kind: Pod, plural: pods}\n", nil},
		"the same field twice":    {"which is meant?", "name: a\nname: b\n", nil},
		"no name":                 {"it has to be called something", "version: 1.0.0\n", nil},
		"a name with a capital":   {"it is part of names in a cluster", "name: Greeting\n", nil},
		"a revision":              {"it would be wrong after the next commit", "name: a\nrevision: abc\n", nil},
		"a kind without version":  {"it names no kind", "name: a\nowns: [{kind: Pod}]\n", nil},
		"a namespace of for":      {"the config says which objects", "name: a\nfor: {apiVersion: v1, kind: Pod, namespaces: [b]}\n", nil},
		"two lines":               {"it is printed in one", "name: a\ndescription: |\n  one\n  two\n", nil},
		"no object":               {"it is another file", "- a\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tt.text))
			if tt.want == nil {
				if err == nil {
					t.Errorf("%s: got %+v, want an error", tt.reason, got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%s: got error %v, -want +got:\n%s", tt.reason, err, diff)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	if _, err := ReadFile(filepath.Join(t.TempDir(), File)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v, want one that a caller can tell", err)
	}
	path := filepath.Join(t.TempDir(), File)
	if err := os.WriteFile(path, []byte("name: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(path); err != nil || got.Name != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestConfig holds the config entry to what the host reads.
func TestConfig(t *testing.T) {
	text := "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\n" + greeting.Config("file:///a: b.wasm", "128Mi")
	got, err := config.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	entry := got.Controllers[0]
	kind := func(apiVersion, kind string) config.GroupVersionKind {
		return config.GroupVersionKind{APIVersion: apiVersion, Kind: kind}
	}
	want := map[string]any{
		"source": "file:///a: b.wasm", "memory": config.Size("128Mi"), "clock": true, "finalize": true,
		"for":     []config.Reconciled{{GroupVersionKind: kind("example.com/v1", "Greeting")}, {GroupVersionKind: kind("v1", "Namespace")}},
		"owns":    []config.Owned{{GroupVersionKind: kind("networking.k8s.io/v1", "NetworkPolicy"), Namespaces: []string{"*"}, UpdateStrategy: "InPlace", OwnerReference: "Controller"}},
		"related": []config.AllowedRelated{{GroupVersionKind: kind("v1", "Secret"), Namespaces: []string{"on", "other"}}},
	}
	found := map[string]any{
		"source": got.Modules["greeting"].Source, "memory": got.Modules["greeting"].Limits.Memory, "clock": entry.Clock, "finalize": entry.Finalize,
		"for": entry.For, "owns": entry.Owns, "related": entry.Related.Allow,
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("-want +got:\n%s\nin\n%s", diff, text)
	}
}

func TestClusterRole(t *testing.T) {
	const want = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: wasmloop-greeting
rules:
  - apiGroups: [example.com] # reconciled; patch is for labels, annotations and finalizers
    resources: [greetingz]
    verbs: [list, watch, patch]
  - apiGroups: [example.com] # its status
    resources: [greetingz/status]
    verbs: [patch]
  - apiGroups: [""] # reconciled; patch is for labels, annotations and finalizers
    resources: [namespaces]
    verbs: [list, watch, patch]
  - apiGroups: [""] # its status
    resources: [namespaces/status]
    verbs: [patch]
  - apiGroups: [networking.k8s.io] # owned
    resources: [networkpolicies]
    verbs: [list, watch, create, patch, delete]
  - apiGroups: [""] # related
    resources: [secrets]
    verbs: [list, watch]
  - apiGroups: [""] # events on what is reconciled
    resources: [events]
    verbs: [create, patch]
`
	if diff := cmp.Diff(want, greeting.ClusterRole()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
