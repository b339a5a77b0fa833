package localcluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A CRD that is installed can be used at once: what comes next does not retry.
func TestInstallCRDsAndApply(t *testing.T) {
	config := shared.Config()
	if err := InstallCRDs(t.Context(), config, "testdata"); err != nil {
		t.Fatal(err)
	}
	applied, err := Apply(t.Context(), config, "tester", "testdata/widgets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Namespace widgets", "Widget widgets/placed", "Widget default/unplaced"}
	if diff := cmp.Diff(want, describeAll(applied)); diff != "" {
		t.Errorf("applied objects (-want +got):\n%s", diff)
	}

	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range applied {
		got := &unstructured.Unstructured{}
		got.SetGroupVersionKind(object.GroupVersionKind())
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), got); err != nil {
			t.Fatal(err)
		}
		if manager := got.GetManagedFields()[0]; manager.Manager != "tester" || manager.Operation != "Apply" {
			t.Errorf("%s is managed by %s with %s", describe(got), manager.Manager, manager.Operation)
		}
	}

	again, err := Apply(t.Context(), config, "tester", "testdata/widgets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(applied[2], again[2]); diff != "" {
		t.Errorf("applying the same again changed the object (-first +second):\n%s", diff)
	}
	if err := InstallCRDs(t.Context(), config, "testdata/crd.yaml"); err != nil {
		t.Errorf("installing the same CRD again: %v", err)
	}
}

func TestReadObjects(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  []string
		fails bool
	}{
		"folder in the order of names": {
			files: map[string]string{"b.yaml": pod("b"), "a.yml": pod("a"), "c.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}`},
			want:  []string{"Pod a", "Pod b", "Pod c"},
		},
		"documents in their order": {files: map[string]string{"a.yaml": pod("b") + "---\n" + pod("a")}, want: []string{"Pod b", "Pod a"}},
		"other files are no objects": {
			files: map[string]string{"README.md": "# Not an object", "a.yaml": pod("a")},
			want:  []string{"Pod a"},
		},
		"empty documents":                {files: map[string]string{"a.yaml": "---\n---\n# nothing\n"}},
		"no kind":                        {files: map[string]string{"a.yaml": "metadata: {name: a}\n"}, fails: true},
		"not YAML":                       {files: map[string]string{"a.yaml": "a: [\n"}, fails: true},
		"a key twice, one would be lost": {files: map[string]string{"a.yaml": pod("a") + "kind: Node\n"}, fails: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := readObjects([]string{dir})
			if (err != nil) != tc.fails {
				t.Fatalf("got error %v, want one: %t", err, tc.fails)
			}
			if diff := cmp.Diff(tc.want, describeAll(got)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func pod(name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\n"
}

func describeAll(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, object := range objects {
		all = append(all, describe(object))
	}
	return all
}
