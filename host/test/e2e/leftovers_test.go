package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// leavingConfig is a config with one controller of a name and a list of owned kinds.
const leavingConfig = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  fixture: {source: file://%s/fixture.wasm}
controllers:
- name: %s
  module: fixture
  for: {apiVersion: test.wasmloop.dev/v1, kind: Elected, namespaces: [%s]}
  owns: [%s]
`

// leaving writes a config.
func leaving(t *testing.T, namespace, controller, owns string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, fmt.Sprintf(leavingConfig, built, controller, namespace, owns))
	return path
}

// answer is what a command says to its user.
type answer struct {
	code           int
	stdout, stderr string
}

// rows returns the lines of the list that are of a controller, with one space between columns.
func (a answer) rows(controller string) (rows []string) {
	for line := range strings.Lines(a.stdout) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == controller {
			rows = append(rows, strings.Join(words, " "))
		}
	}
	return rows
}

// wasmloop runs a command against the shared cluster.
func wasmloop(t *testing.T, args ...string) answer {
	t.Helper()
	return command(t, append(args, "--kubeconfig", cluster.KubeconfigPath())...)
}

// command runs a command.
func command(t *testing.T, args ...string) answer {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(built, "wasmloop"), args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// expect compares what a command says with what it should.
func (a answer) expect(t *testing.T, controller string, want ...any) {
	t.Helper()
	got := []any{a.code, a.rows(controller), a.stderr}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("code, rows, stderr (-want +got):\n%s", diff)
	}
}

// runWith runs a host until a story has happened.
func runWith(t *testing.T, config string, args []string, story func(h *host)) {
	t.Helper()
	h, err := startHost(hostOptions{config: config, args: args})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Stop(); err != nil {
			t.Errorf("the host ends with %v\n%s", err, h.Log())
		}
	}()
	story(h)
}

const configMapKind = "{apiVersion: v1, kind: ConfigMap}"

// What a controller left over is listed and deleted on request, and nothing else.
func TestPruneCommand(t *testing.T) {
	var none []string
	namespace := newNamespace(t)
	owning := leaving(t, namespace, "leaver", configMapKind)
	runWith(t, owning, nil, func(*host) {
		create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: one}, spec: {mode: ok, children: [first, second]}}`)
		waitFor(t, "v1", "ConfigMap", namespace, "first", exists)
		waitFor(t, "test.wasmloop.dev/v1", "Elected", namespace, "one", field("ok", "status", "mode"))
	})
	foreign(t, namespace)
	dropped, removed := leaving(t, namespace, "leaver", ""), leaving(t, namespace, "stayer", configMapKind)
	rows := func(why string) []string {
		return []string{"leaver ConfigMap " + namespace + " first " + why, "leaver ConfigMap " + namespace + " second " + why}
	}
	notDeleted := "nothing was deleted; with --controller NAME and --yes, what is listed of that controller is\n"

	t.Run("what is looked after is not left over", func(t *testing.T) {
		wasmloop(t, "prune", "--config", owning, "--controller", "leaver").
			expect(t, "leaver", 0, none, "no children are left over of controller leaver\n")
	})
	t.Run("a kind that was taken out of owns", func(t *testing.T) {
		wasmloop(t, "prune", "--config", dropped).
			expect(t, "leaver", 0, rows("controller leaver does not own kind ConfigMap"), notDeleted)
	})
	t.Run("a controller that was taken out of the config", func(t *testing.T) {
		wasmloop(t, "prune", "--config", removed, "--controller", "leaver").
			expect(t, "leaver", 0, rows("there is no controller leaver in the config"), notDeleted)
	})
	t.Run("another controller's are not listed", func(t *testing.T) {
		wasmloop(t, "prune", "--config", removed, "--controller", "nobody").
			expect(t, "leaver", 0, none, "no children are left over of controller nobody\n")
	})
	t.Run("one does not delete what all controllers left over", func(t *testing.T) {
		wasmloop(t, "prune", "--config", removed, "--yes").
			expect(t, "leaver", 1, none, "✗ --yes needs --controller NAME: it deletes what one controller left over, not what all did\n")
	})
	t.Run("the host says so in its log", func(t *testing.T) {
		runWith(t, removed, []string{"--report-leftovers-after", "1ns"}, func(h *host) {
			h.waitForLog(t, "children are left over, which no controller of this config looks after", `"controller":"leaver"`,
				`"kind":"ConfigMap"`, `"objects":2`, "there is no controller leaver in the config", "wasmloop prune --config FILE --controller leaver")
		})
		for _, name := range []string{"first", "second"} {
			waitFor(t, "v1", "ConfigMap", namespace, name, exists)
		}
	})
	t.Run("with --yes they are deleted, and nobody else's", func(t *testing.T) {
		wasmloop(t, "prune", "--config", removed, "--controller", "leaver", "--yes").
			expect(t, "leaver", 0, rows("there is no controller leaver in the config"), "deleted 2 of 2\n")
		waitUntilGone(t, "v1", "ConfigMap", namespace, "first")
		waitUntilGone(t, "v1", "ConfigMap", namespace, "second")
		for _, name := range []string{"plain", "copied", "forged"} {
			waitFor(t, "v1", "ConfigMap", namespace, name, exists)
		}
		wasmloop(t, "prune", "--config", removed, "--controller", "leaver").
			expect(t, "leaver", 0, none, "no children are left over of controller leaver\n")
	})
}

// foreign makes objects beside the children of the leaver: one without any mark, one with a child's annotations, and one with
// an annotation that names itself.
func foreign(t *testing.T, namespace string) {
	t.Helper()
	child := waitFor(t, "v1", "ConfigMap", namespace, "first", exists)
	create(t, namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}`)
	copied := &unstructured.Unstructured{}
	copied.SetAPIVersion("v1")
	copied.SetKind("ConfigMap")
	copied.SetNamespace(namespace)
	copied.SetName("copied")
	copied.SetAnnotations(child.GetAnnotations())
	copied.SetLabels(child.GetLabels())
	copied.SetOwnerReferences(child.GetOwnerReferences())
	if err := api.Create(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	create(t, namespace, fmt.Sprintf(
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: forged, annotations: {wasmloop.dev/owned-by: leaver/0000/ConfigMap/%s/forged}}}`, namespace))
}

// An object that waits for a controller that is gone can be let go, and what that would have cleaned up can be found.
func TestReleaseCommand(t *testing.T) {
	var none []string
	namespace, abroad := newNamespace(t), newNamespace(t)
	reaching := leaving(t, namespace, "wanderer", "{apiVersion: v1, kind: ConfigMap, namespaces: ["+abroad+"]}")
	var wide, near *unstructured.Unstructured
	runWith(t, reaching, nil, func(*host) {
		wide = create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: wide}, spec: {mode: ok, children: [far], namespace: `+abroad+`}}`)
		near = create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: near}, spec: {mode: ok, children: [far-too], namespace: `+abroad+`}}`)
		waitFor(t, "v1", "ConfigMap", abroad, "far", exists)
		waitFor(t, "v1", "ConfigMap", abroad, "far-too", exists)
	})
	remove(t, wide)
	removed := leaving(t, namespace, "stayer", configMapKind)
	row := func(name, state string) string {
		return "wanderer Elected.test.wasmloop.dev " + namespace + " " + name + " " + state
	}
	waiting := row("wide", "is being deleted, and waits for the controller")

	t.Run("the host says so in its log", func(t *testing.T) {
		runWith(t, removed, []string{"--report-leftovers-after", "1ns"}, func(h *host) {
			h.waitForLog(t, "objects have a finalizer that no controller of this config takes off", `"controller":"wanderer"`,
				`"kind":"Elected.test.wasmloop.dev"`, `"objects":2`, "wasmloop release --controller wanderer")
			h.waitForLog(t, "children are left over", `"controller":"wanderer"`, `"objects":2`)
		})
	})
	t.Run("what the controller holds is listed", func(t *testing.T) {
		wasmloop(t, "release", "--controller", "wanderer").expect(t, "wanderer", 0,
			[]string{row("near", "is not being deleted"), waiting},
			"nothing was changed; with --yes, the finalizer wasmloop.dev/wanderer is taken off what is listed\n")
		waitFor(t, "test.wasmloop.dev/v1", "Elected", namespace, "wide", exists)
	})
	t.Run("an object that is not there is an error", func(t *testing.T) {
		wasmloop(t, "release", "--controller", "wanderer", "--yes", "Elected", "wide").expect(t, "wanderer", 1, none,
			"✗ there is no Elected wide with the finalizer wasmloop.dev/wanderer (name an object in a namespace as NAMESPACE/NAME)\n")
	})
	t.Run("half a name is an error", func(t *testing.T) {
		wasmloop(t, "release", "--controller", "wanderer", "--yes", "Elected").expect(t, "wanderer", 1, none,
			"✗ give KIND and [NAMESPACE/]NAME, or neither\n")
	})
	t.Run("the one that is named goes, and no other is touched", func(t *testing.T) {
		wasmloop(t, "release", "--controller", "wanderer", "--yes", "elected", namespace+"/wide").
			expect(t, "wanderer", 0, []string{waiting}, "released 1 of 1\n")
		waitUntilGone(t, "test.wasmloop.dev/v1", "Elected", namespace, "wide")
		waitFor(t, "test.wasmloop.dev/v1", "Elected", namespace, "near", held("wasmloop.dev/wanderer"))
	})
	t.Run("its child is found by prune", func(t *testing.T) {
		waitFor(t, "v1", "ConfigMap", abroad, "far", exists)
		why := " there is no controller wanderer in the config"
		wasmloop(t, "prune", "--config", removed, "--controller", "wanderer", "--yes").expect(t, "wanderer", 0,
			[]string{"wanderer ConfigMap " + abroad + " far" + why, "wanderer ConfigMap " + abroad + " far-too" + why}, "deleted 2 of 2\n")
		waitUntilGone(t, "v1", "ConfigMap", abroad, "far")
	})
	t.Run("all that is left can be released", func(t *testing.T) {
		wasmloop(t, "release", "--controller", "wanderer", "--yes").
			expect(t, "wanderer", 0, []string{row("near", "is not being deleted")}, "released 1 of 1\n")
		wasmloop(t, "release", "--controller", "wanderer").
			expect(t, "wanderer", 0, none, "no object has the finalizer wasmloop.dev/wanderer\n")
	})
	remove(t, near)
	waitUntilGone(t, "test.wasmloop.dev/v1", "Elected", namespace, "near")
}

// held returns a function that wants an object to have a finalizer.
func held(finalizer string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		if slices.Contains(object.GetFinalizers(), finalizer) {
			return nil
		}
		return fmt.Errorf("%s has the finalizers %v", object.GetName(), object.GetFinalizers())
	}
}
