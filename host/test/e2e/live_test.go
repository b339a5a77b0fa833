package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// live is a host whose config is mounted as Kubernetes mounts a ConfigMap: the file is a link through a link that another one
// takes the place of.
type live struct {
	folder, namespace, metrics string
	version                    int
}

const liveHeader = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  versioned: {source: "file://module.wasm"}
`

// liveController is a controller of the objects with a label, which has a name of its own.
const liveController = `
- name: %[1]s
  module: versioned
  for: {apiVersion: test.wasmloop.dev/v1, kind: Elected, namespaces: [%[2]s], labelSelector: {matchLabels: {for: %[1]s}}}
  owns: [{apiVersion: v1, kind: ConfigMap}]
`

const liveObject = `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: %[1]s, labels: {for: %[2]s}}, spec: {text: hello}}`

func newLive(t *testing.T) *live {
	t.Helper()
	return &live{folder: t.TempDir(), namespace: newNamespace(t), metrics: freeAddress(t)}
}

func (l *live) path() string { return filepath.Join(l.folder, "config.yaml") }

// mount puts another config, and another module if it is not empty, in the place of what is mounted.
func (l *live) mount(t *testing.T, config, module string) {
	t.Helper()
	l.version++
	data := filepath.Join(l.folder, fmt.Sprintf("..%d", l.version))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "config.yaml"), config)
	wasm, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "module.wasm"), string(wasm))
	temporary := filepath.Join(l.folder, "..data_tmp")
	if err := os.Symlink(filepath.Base(data), temporary); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, filepath.Join(l.folder, "..data")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.yaml", "module.wasm"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(l.folder, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
}

func (l *live) controllers(names ...string) string {
	text := liveHeader + "controllers:"
	for _, name := range names {
		text += fmt.Sprintf(liveController, name, l.namespace)
	}
	return text
}

// status waits for a status that is as wanted.
func (l *live) status(t *testing.T, wanted func(*engine.Status) error) {
	t.Helper()
	eventually(t, func() error {
		status, err := l.ask(t)
		if err != nil {
			return err
		}
		return wanted(status)
	})
}

func (l *live) ask(t *testing.T) (*engine.Status, error) {
	t.Helper()
	got := command(t, "status", "--address", l.metrics, "-o", "json")
	if got.code != 0 {
		return nil, fmt.Errorf("status: %s", got.stderr)
	}
	status := &engine.Status{}
	return status, json.Unmarshal([]byte(got.stdout), status)
}

// states returns a function that wants the controllers to be in states.
func states(want string) func(*engine.Status) error {
	return func(status *engine.Status) error {
		var got []string
		for _, controller := range status.Controllers {
			got = append(got, controller.Name+" "+controller.State)
		}
		if joined := strings.Join(got, ", "); joined != want {
			return fmt.Errorf("the controllers are %q, want %q", joined, want)
		}
		return nil
	}
}

// TestLiveConfig changes a config and its module in each way while the host runs.
func TestLiveConfig(t *testing.T) {
	l, v1, v2 := newLive(t), buildVersion(t, "v1"), buildVersion(t, "v2")
	l.mount(t, l.controllers("one"), v1)
	args := []string{"--metrics-bind-address", l.metrics, "--cache-dir", filepath.Join(t.TempDir(), "cache")}
	child := func(name, version string) {
		t.Helper()
		waitFor(t, "v1", "ConfigMap", l.namespace, name, field(version, "data", "version"))
	}
	runWith(t, l.path(), args, func(h *host) {
		create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
		create(t, l.namespace, fmt.Sprintf(liveObject, "b", "two"))
		child("a", "v1")

		l.mount(t, l.controllers("one", "two"), v1) // a controller is added; the other one goes on
		child("b", "v1")
		if strings.Contains(h.Log(), "controller replaced") {
			t.Errorf("a controller was replaced that nothing has changed about:\n%s", h.Log())
		}

		l.mount(t, l.controllers("one", "two"), v2) // their module is replaced
		child("a", "v2")
		child("b", "v2")

		l.mount(t, l.controllers("one")+"  workers: many\n", v2) // a fault
		h.waitForLog(t, "the config has changed and cannot be taken up", "workers")
		l.status(t, func(status *engine.Status) error {
			if !strings.Contains(status.ConfigTrouble, "workers") {
				return fmt.Errorf("the trouble is %q", status.ConfigTrouble)
			}
			return states("one running, two running")(status)
		})
		create(t, l.namespace, fmt.Sprintf(liveObject, "c", "two"))
		child("c", "v2")

		broken := filepath.Join(t.TempDir(), "broken.wasm")
		write(t, broken, "\x00asm and nothing more")
		l.mount(t, l.controllers("one", "two"), broken) // a module that is none
		h.waitForLog(t, "the module cannot be replaced by what its source has now; the one before goes on")
		create(t, l.namespace, fmt.Sprintf(liveObject, "d", "one"))
		child("d", "v2")
		l.status(t, func(status *engine.Status) error { return trouble("cannot load")(status.Modules[0]) })

		l.mount(t, l.controllers("one")+"logLevel: debug\n", v1) // all is well again, and less
		child("a", "v1")
		h.waitForLog(t, "controller taken out", `"controller":"two"`)
		l.status(t, func(status *engine.Status) error {
			if status.ConfigTrouble != "" || status.Modules[0].Trouble != "" {
				return fmt.Errorf("there is still trouble: %+v", status)
			}
			return states("one running")(status)
		})
		create(t, l.namespace, fmt.Sprintf(liveObject, "e", "two"))
		renamed := strings.NewReplacer("versioned:", "other:", "module: versioned", "module: other").Replace(l.controllers("one"))
		l.mount(t, renamed+"logLevel: debug\n", v2) // a controller goes over to a module of another name
		child("a", "v2")
		l.mount(t, l.controllers("one")+"logLevel: debug\n", v1)
		child("a", "v1")
		last := create(t, l.namespace, fmt.Sprintf(liveObject, "f", "one"))
		child("f", "v1")
		if err := api.Delete(t.Context(), last, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
			t.Fatal(err)
		}
		h.waitForLog(t, `"level":"DEBUG`, "object is being deleted")
		child("b", "v2") // it stays as it was left
		if _, err := get(t, "v1", "ConfigMap", l.namespace, "e"); err == nil {
			t.Error("a controller reconciles that was taken out")
		}
	})
}

// TestConfigEntryChanges replaces one controller by one of other settings, and none else.
func TestConfigEntryChanges(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	l.mount(t, l.controllers("one", "two"), module)
	runWith(t, l.path(), []string{"--metrics-bind-address", l.metrics}, func(h *host) {
		object := create(t, l.namespace, fmt.Sprintf(liveObject, "a", "three"))
		l.status(t, states("one running, two running"))
		l.mount(t, strings.Replace(l.controllers("one", "two"), "{for: two}", "{for: three}", 1), module)
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
		h.waitForLog(t, "controller replaced", `"controller":"two"`)
		if metrics := read(t, "http://"+l.metrics+"/metrics"); strings.Contains(metrics, `wasmloop_controller_replacements_total{controller="one"}`) ||
			!strings.Contains(metrics, `wasmloop_controller_replacements_total{controller="two"} 1`) {
			t.Error("the metrics do not tell of the one that was replaced, and of none else")
		}
		remove(t, object)
		waitUntilGone(t, "v1", "ConfigMap", l.namespace, "a")
	})
}
