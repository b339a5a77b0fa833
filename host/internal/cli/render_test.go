package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// repository is the root of the repository, from the folder of this package.
const repository = "../../.."

// absolute returns the path of a file of the repository, wherever a test works.
func absolute(t *testing.T, path string) string {
	t.Helper()
	found, err := filepath.Abs(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// compiled is the folder that keeps compiled modules from one test to the next.
func compiled(t *testing.T) string {
	t.Helper()
	return "--cache-dir=" + absolute(t, "bin/test-cache/cli")
}

// fixture returns the path of one of the sandbox's fixtures.
func fixture(t *testing.T, name string) string {
	t.Helper()
	return absolute(t, "host/internal/guest/testdata/"+name+".wasm")
}

const (
	book    = "apiVersion: view.example.com/v1\nkind: MarkdownView\nmetadata: {name: b, namespace: default}\nspec: {markdowns: {SUMMARY.md: '# S'}}\n"
	bookTwo = book + "---\n" + book
	pod     = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"
	// bookCRD defines the kind, with a check of its own.
	bookCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: markdownviews.view.example.com}
spec:
  group: view.example.com
  scope: Namespaced
  names: {kind: MarkdownView, plural: markdownviews}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, required: [title], x-kubernetes-preserve-unknown-fields: true}}
`
)

// TestRenderFails gives render wrong input and modules that do wrong.
func TestRenderFails(t *testing.T) {
	module := "--module=" + absolute(t, "modules/markdownview/markdownview.wasm")
	conf := "--config=" + absolute(t, "config/wasmloop.yaml")
	tests := map[string]struct {
		reason string
		args   []string
		code   int
		stderr string // a part of it
	}{
		"nothing":            {"what is to be rendered?", []string{module}, 1, "requires at least 1 arg"},
		"no module":          {"both ways to name one are said", []string{"book.yaml"}, 1, "give --module FILE.wasm, or --config FILE"},
		"missing module":     {"the path is as it was given", []string{"--module=none.wasm", "book.yaml"}, 1, "cannot read the module: open none.wasm"},
		"text as module":     {"it is found before anything is compiled", []string{"--module=book.yaml", "book.yaml"}, 1, "book.yaml is no module: it is a text file"},
		"missing object":     {"the path is as it was given", []string{module, "none.yaml"}, 1, "cannot read the objects: stat none.yaml"},
		"two objects":        {"which is meant?", []string{module, "two.yaml"}, 1, "two.yaml has 2 objects, and one is reconciled"},
		"no object":          {"a file of comments", []string{module, "comment.yaml"}, 1, "comment.yaml has no object"},
		"no YAML":            {"with the document that is meant", []string{module, "broken.yaml"}, 1, "document 2 of broken.yaml is not YAML"},
		"no Kubernetes":      {"what lacks is said", []string{module, "nameless.yaml"}, 1, "document 1 of nameless.yaml is no Kubernetes object: it has no metadata.name"},
		"kind of nobody":     {"no controller has it", []string{conf, "thing.yaml"}, 1, "reconciles example.com/v1 Thing"},
		"several":            {"the names to choose from are said", []string{conf, "pod.yaml"}, 1, "say which with --controller: podlogger, podrunner"},
		"other kind":         {"what it reconciles is said", []string{conf, "--controller=podlogger", "book.yaml"}, 1, "controller podlogger reconciles v1 Pod"},
		"unknown controller": {"the names are said", []string{conf, "--controller=none", "book.yaml"}, 1, `no controller is named "none"; there are markdownview, `},
		"no config":          {"of what?", []string{module, "--controller=x", "book.yaml"}, 1, "--controller names a controller of --config"},
		"unknown output":     {"the right ones are said", []string{module, "-o", "xml", "book.yaml"}, 1, `unknown --output "xml": want yaml, json, diff or tree`},
		"no time":            {"with an example", []string{module, "--now=today", "book.yaml"}, 1, `--now "today" is no time like 2026`},
		"none is reconciled": {"nothing was rendered", []string{conf, "--controller=podlogger", "--all", "book.yaml"}, 1, "none of the objects is reconciled"},
		"all of nothing":     {"there is no kind", []string{module, "--all", "comment.yaml"}, 1, "comment.yaml has no object"},
		"all fail":           {"each is named", []string{"--config=fail.yaml", "--all", "things.yaml"}, 2, "12 of 12 objects failed:\n  Thing default/t-0: module failed"},
		"many fail":          {"not all are named", []string{"--config=fail.yaml", "--all", "things.yaml"}, 2, "\n  and 2 more"},
		"all are invalid":    {"the answers are not as they must be", []string{"--config=kind.yaml", "--all", "things.yaml"}, 3, "12 of 12 objects failed"},
		"watching stdin":     {"it cannot change", []string{module, "--watch", "-"}, 1, "--watch needs files"},
		"watching stdin too": {"it cannot change", []string{module, "--watch", "book.yaml", "-"}, 1, "--watch needs files"},
		"twice":              {"which is meant?", []string{module, "book.yaml", "book.yaml"}, 1, "MarkdownView default/b is there twice"},
		"against its schema": {"as a cluster would refuse it", []string{module, "book.yaml", "crd.yaml"}, 1, "cannot create MarkdownView default/b"},
		"trap":               {"the module failed", []string{"--config=trap.yaml", "fault.yaml"}, 2, "Thing default/t: module trapped"},
		"limit":              {"the module failed", []string{"--config=loop.yaml", "wordless.yaml"}, 2, "over its fuel limit"},
		"error":              {"the module failed", []string{"--config=fail.yaml", "fault.yaml"}, 2, "it fails on purpose"},
		"cannot be loaded":   {"the module is of no use", []string{"--module=" + fixture(t, "version_two"), "pod.yaml"}, 2, "it speaks version 2 of the ABI"},
		"endless":            {"it never comes to rest", []string{"--config=append.yaml", "fault.yaml"}, 2, "does not reach a fixed point"},
		"invalid":            {"the answer is not as it must be", []string{"--config=kind.yaml", "fault.yaml"}, 3, "invalid response from the module: children[0]"},
	}
	files := map[string]string{
		"book.yaml": book, "two.yaml": bookTwo, "comment.yaml": "# nothing\n", "pod.yaml": pod, "crd.yaml": bookCRD,
		"broken.yaml": book + "---\na: [\n", "nameless.yaml": "apiVersion: v1\nkind: Pod\n",
		"fault.yaml":    "apiVersion: check.test/v1\nkind: Thing\nmetadata: {name: t, namespace: default}\nspec: {words: {a: " + strings.Repeat("x", 256) + "}}\n",
		"wordless.yaml": "apiVersion: check.test/v1\nkind: Thing\nmetadata: {name: t, namespace: default}\n",
		"trap.yaml":     faulty(t, "trap"), "loop.yaml": faulty(t, "loop"), "fail.yaml": faulty(t, "fail"), "append.yaml": faulty(t, "append"), "kind.yaml": faulty(t, "kind"),
		"things.yaml": manyThings(12), "thing.yaml": "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n",
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, files, append([]string{"render", compiled(t)}, tt.args...)...)
			if got.Code != tt.code || !strings.Contains(got.Stderr, tt.stderr) || strings.Contains(got.Stderr, "goroutine") {
				t.Errorf("%s: got %d, %s, want %d, %s", tt.reason, got.Code, got.Stderr, tt.code, tt.stderr)
			}
		})
	}
}

func manyThings(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "apiVersion: check.test/v1\nkind: Thing\nmetadata: {name: t-%d, namespace: default}\n---\n", i)
	}
	return b.String()
}

// TestRenderAll renders all objects of a file, in all forms.
func TestRenderAll(t *testing.T) {
	conf := "--config=" + absolute(t, "config/wasmloop.yaml")
	module := "--module=" + absolute(t, "modules/markdownview/markdownview.wasm")
	second := strings.Replace(book, "name: b,", "name: a,", 1)
	files := map[string]string{"books.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: spare}\n---\n" + book + "---\n" + second, "observed.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: stale, namespace: default, ownerReferences: [{apiVersion: view.example.com/v1, kind: MarkdownView, name: b, controller: true}]}
`}
	tree := `MarkdownView default/a
├── ConfigMap default/markdowns-a  created
├── Deployment default/viewer-a    created
└── Service default/viewer-a       created
MarkdownView default/b
├── ConfigMap default/markdowns-b  created
├── Deployment default/viewer-b    created
├── Service default/viewer-b       created
└── ConfigMap default/stale        deleted
`
	got := run(t, files, "render", compiled(t), conf, "-q", "--all", "-o", "tree", "books.yaml", "observed.yaml")
	if diff := cmp.Diff(result{Stdout: tree}, got); diff != "" {
		t.Errorf("each with its children: -want +got:\n%s", diff)
	}
	got = run(t, files, "render", compiled(t), conf, "--all", "books.yaml", "observed.yaml")
	of := "deleted:\n- apiVersion: v1\n  kind: ConfigMap\n  name: stale\n  namespace: default\nkind: RenderOutcome\nof:\n  apiVersion: view.example.com/v1\n  kind: MarkdownView\n  name: b\n  namespace: default\n"
	if !strings.Contains(got.Stdout, of) || strings.Count(got.Stdout, "kind: Deployment\n") != 2 || !strings.Contains(got.Stderr, "► 2 objects, 4 calls of the module, ") {
		t.Errorf("an outcome says of which object it is: got %+v", got)
	}
	got = run(t, files, "render", compiled(t), module, "-q", "--all", "-o", "json", "books.yaml")
	var list []struct {
		Of       struct{ Name string }
		Children []any
		Calls    int
	}
	if err := json.Unmarshal([]byte(got.Stdout), &list); err != nil || len(list) != 2 || list[0].Of.Name != "a" || len(list[1].Children) != 3 || list[1].Calls < 2 {
		t.Errorf("a list, of the kind that is no namespace: got %v, %+v", err, got)
	}
	got = run(t, files, "render", compiled(t), module, "-q", "--all", "-o", "diff", "books.yaml")
	if strings.Count(got.Stdout, "+kind: Deployment\n") != 2 {
		t.Errorf("what is new of both: got %+v", got)
	}
}

// TestRender renders in all forms.
func TestRender(t *testing.T) {
	module := "--module=" + absolute(t, "modules/markdownview/markdownview.wasm")
	files := map[string]string{"book.yaml": book, "observed.yaml": `
apiVersion: v1
kind: Service
metadata: {name: viewer-b, namespace: default, labels: {app.kubernetes.io/name: markdownview, app.kubernetes.io/instance: b}}
spec: {ports: [{name: http, port: 80, targetPort: http}], selector: {app.kubernetes.io/name: markdownview, app.kubernetes.io/instance: b}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: stale, namespace: default, ownerReferences: [{apiVersion: view.example.com/v1, kind: MarkdownView, name: b, controller: true}]}
`}
	tree := `MarkdownView default/b
├── Deployment default/viewer-b    created
├── ConfigMap default/markdowns-b  created
├── Service default/viewer-b       unchanged
└── ConfigMap default/stale        deleted
`
	got := run(t, files, "render", compiled(t), module, "-q", "-o", "tree", "book.yaml", "observed.yaml")
	if diff := cmp.Diff(result{Stdout: tree}, got); diff != "" {
		t.Errorf("what is wanted already stays, what is not goes: -want +got:\n%s", diff)
	}
	got = run(t, files, "render", compiled(t), module, "-q", "-o", "diff", "book.yaml", "observed.yaml")
	for _, line := range []string{"-kind: ConfigMap", "+kind: Deployment", "+  phase: Progressing"} {
		if !strings.Contains(got.Stdout, line+"\n") || strings.Contains(got.Stdout, "kind: Service") {
			t.Errorf("the diff is of what changes: no %q in %s", line, got.Stdout)
		}
	}
	got = run(t, files, "render", compiled(t), module, "-o", "json", "book.yaml")
	if !strings.Contains(got.Stdout, `"reconciles": 3`) || !strings.Contains(got.Stderr, "► the controller is taken to have owns v1 Service\n") {
		t.Errorf("a result, and what was made up: got %+v", got)
	}
	got = run(t, files, "render", compiled(t), module, "-q", "book.yaml", "observed.yaml")
	again := run(t, files, "render", compiled(t), module, "-q", "book.yaml", "observed.yaml")
	if diff := cmp.Diff(got, again); diff != "" || !strings.Contains(got.Stdout, "kind: RenderOutcome\n") {
		t.Errorf("it is the same each time: %s", diff)
	}
}

// TestRenderWithConfig renders as the controllers of a config.
func TestRenderWithConfig(t *testing.T) {
	conf := "--config=" + absolute(t, "config/wasmloop.yaml")
	object := "apiVersion: config.example.com/v1\nkind: ConfigMapPropagation\nmetadata: {name: theme, namespace: default}\n" +
		"spec: {source: theme, targetNamespaces: [kube-public]}\n"
	source := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theme, namespace: default}\ndata: {color: teal}\n"
	got := run(t, map[string]string{"object.yaml": object, "source.yaml": source}, "render", compiled(t), conf, "-q", "-o", "tree", "object.yaml", "source.yaml")
	want := result{Stdout: "ConfigMapPropagation default/theme\n└── ConfigMap kube-public/theme  created\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the source is seen, and taken for no child: -want +got:\n%s", diff)
	}
}

// TestTest runs cases, first without what they must come to, then with it, then with something else.
func TestTest(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wasm, err := os.ReadFile(absolute(t, "modules/markdownview/markdownview.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	cache := compiled(t)
	test := func(args ...string) result { return run(t, nil, append([]string{"test", cache, folder}, args...)...) }
	expect := func(what string, got result, code int, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if got.Code != code || !strings.Contains(got.Stdout+got.Stderr, part) {
				t.Errorf("%s: got %+v, want %d and %q", what, got, code, part)
			}
		}
	}
	expect("no testdata", test(), 1, "cannot read the cases")
	write("testdata/empty/README", "")
	expect("no case", test(), 1, "has no case")
	write("testdata/book/object.yaml", book)
	expect("no module", test(), 1, "there is no module in")
	write("any.wasm", string(wasm))
	expect("nothing is wanted", test(), 1, "there is no want.yaml", "1 of 1 case failed")
	expect("it is written", test("--update"), 0, "► written  book")
	expect("it is as wanted", test(), 0, "✔  book")
	write("testdata/steps/steps.yaml", steps)
	expect("steps", test("--junit", filepath.Join(folder, "junit.xml")), 0, "✔  steps")
	write("testdata/steps/steps.yaml", strings.Replace(steps, "replicas: 2}", "replicas: 3}", 1))
	expect("a step fails", test("--junit", filepath.Join(folder, "junit.xml")), 1, "step 1 (new):", "spec.replicas is 3, want 2")
	report, err := os.ReadFile(filepath.Join(folder, "junit.xml"))
	if err != nil || !strings.Contains(string(report), `tests="2" failures="1"`) {
		t.Errorf("the report counts: got %s, %v", report, err)
	}
	write("testdata/steps/steps.yaml", "- nam: x\n")
	expect("unknown field", test(), 1, `steps.yaml is no list of steps: unknown field "nam"`)
	write("testdata/steps/steps.yaml", steps)
	write("testdata/book/object.yaml", bookTwo)
	expect("two objects", test(), 1, "has 2 objects, and one is reconciled")
	write("testdata/book/object.yaml", book)
	write("testdata/book/want.yaml", "a: b\n")
	expect("it is not as wanted", test(), 1, "-a: b", "+kind: Deployment")
}

const steps = `
- name: new
  apply:
  - {apiVersion: view.example.com/v1, kind: MarkdownView, metadata: {name: b}, spec: {markdowns: {SUMMARY.md: "# S"}, replicas: 2}}
  want:
    objects: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: viewer-b}, spec: {replicas: 2}}]
    maxCalls: 3
- name: available
  patch:
  - {apiVersion: apps/v1, kind: Deployment, name: viewer-b, subresource: status, patch: {status: {availableReplicas: 2, observedGeneration: 1, replicas: 2, readyReplicas: 2, updatedReplicas: 2}}}
  want: {objects: [{apiVersion: view.example.com/v1, kind: MarkdownView, metadata: {name: b}, status: {phase: Available}}]}
- name: lost
  delete: [{apiVersion: v1, kind: Service, name: viewer-b}]
  restart: true
  want: {objects: [{apiVersion: v1, kind: Service, metadata: {name: viewer-b}}]}
- name: gone
  delete: [{apiVersion: view.example.com/v1, kind: MarkdownView, name: b}]
  after: 1m
  want: {absent: [{apiVersion: apps/v1, kind: Deployment, name: viewer-b}], maxCalls: 0}
`
