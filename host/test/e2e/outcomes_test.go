package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rememberingConfig is a config whose module is a file of the test's own.
const rememberingConfig = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  fixture: {source: file://fixture.wasm}
controllers:
- name: remembering
  module: fixture
  for: {apiVersion: test.wasmloop.dev/v1, kind: Elected, namespaces: [%s]}
  owns: [{apiVersion: v1, kind: ConfigMap}]
  settings: {note: %q}
`

// A host that starts over a converged cluster calls no module, and writes nothing: it remembers that nothing would follow. It
// calls the module again for what it cannot know.
func TestRememberedOutcomes(t *testing.T) {
	s := newRestarts(t)
	var objects []*unstructured.Unstructured
	s.run(func(*host) {
		for _, name := range []string{"a", "b", "c"} {
			objects = append(objects, create(t, s.namespace, elected(name)))
		}
		for _, name := range []string{"a", "b", "c"} {
			waitFor(t, "v1", "ConfigMap", s.namespace, name+"-child", exists)
			waitFor(t, "test.wasmloop.dev/v1", "Elected", s.namespace, name, field("ok", "status", "mode"))
		}
	})
	s.restart() // what was still on its way when the first one ended is settled now
	before := s.versions()
	unchanged := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(before, s.versions()); diff != "" {
			t.Errorf("something was written (-before +after):\n%s", diff)
		}
	}

	t.Run("a restart calls nothing", func(t *testing.T) {
		if calls, _ := s.restart(); calls != 0 {
			t.Errorf("the module was called %d times", calls)
		}
		unchanged(t)
	})
	t.Run("nor does the one after that", func(t *testing.T) {
		if calls, _ := s.restart(); calls != 0 {
			t.Errorf("the module was called %d times", calls)
		}
		unchanged(t)
	})
	t.Run("a damaged file is passed over", func(t *testing.T) {
		s.damage()
		calls, log := s.restart()
		if calls != 3 {
			t.Errorf("the module was called %d times, want one for each object", calls)
		}
		if !strings.Contains(log, "what is remembered of the last run is damaged; each object is reconciled anew") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		unchanged(t)
		if calls, _ := s.restart(); calls != 0 {
			t.Errorf("and it is not mended: the module was called %d times", calls)
		}
	})
	t.Run("another config entry is another question", func(t *testing.T) {
		s.configure("changed")
		if calls, _ := s.restart(); calls != 3 {
			t.Errorf("the module was called %d times, want one for each object", calls)
		}
		unchanged(t)
	})
	t.Run("and so is another module", func(t *testing.T) {
		s.changeModule()
		if calls, _ := s.restart(); calls != 3 {
			t.Errorf("the module was called %d times, want one for each object", calls)
		}
		unchanged(t)
	})
	t.Run("what changes while the host is down is followed, and the rest is not asked for", func(t *testing.T) {
		set(t, objects[0], "changed", "spec", "text")
		calls, _ := s.restartUntil(func(*host) {
			waitFor(t, "v1", "ConfigMap", s.namespace, "a-child", field("changed", "data", "text"))
		})
		if calls == 0 || calls > 3 { // two for the object that has changed, or three if its status comes late
			t.Errorf("the module was called %d times", calls)
		}
		after := s.versions()
		for _, name := range []string{"b", "c", "b-child", "c-child"} {
			if after[name] != before[name] {
				t.Errorf("%s was written", name)
			}
		}
	})
}

// restarts is a host that is stopped and started over the same objects and the same cache folder.
type restarts struct {
	t         *testing.T
	namespace string
	dir       string
}

func newRestarts(t *testing.T) *restarts {
	t.Helper()
	s := &restarts{t: t, namespace: newNamespace(t), dir: t.TempDir()}
	code, err := os.ReadFile(filepath.Join(built, "fixture.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "fixture.wasm"), string(code))
	s.configure("")
	return s
}

func (s *restarts) configure(note string) {
	write(s.t, filepath.Join(s.dir, "config.yaml"), fmt.Sprintf(rememberingConfig, s.namespace, note))
}

// changeModule gives the module a custom section, which means nothing.
func (s *restarts) changeModule() {
	path := filepath.Join(s.dir, "fixture.wasm")
	code, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, path, string(append(code, 0, 2, 1, 'x')))
}

// damage changes the last bit of what is remembered.
func (s *restarts) damage() {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "cache", "outcomes", "remembering", "*"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("what is remembered is in %q (%v), want one file", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	write(s.t, files[0], string(data))
}

// run runs a host until a story has happened, and returns its log and its metrics of before the end.
func (s *restarts) run(story func(h *host)) (log string, metrics map[string]int) {
	s.t.Helper()
	address := freeAddress(s.t)
	args := []string{"--metrics-bind-address", address, "--cache-dir", filepath.Join(s.dir, "cache")}
	runWith(s.t, filepath.Join(s.dir, "config.yaml"), args, func(h *host) {
		story(h)
		// All objects of the kind have been looked at, those of other namespaces too, and nothing is being looked at any more.
		eventually(s.t, func() (err error) {
			if metrics, err = countersOf(address, `controller="remembering"`); err != nil {
				return err
			}
			looks, busy := metrics["controller_runtime_reconcile_total"], metrics["workqueue_depth"]+metrics["controller_runtime_active_workers"]
			if all := s.objects(); looks < len(all.Items) || busy > 0 {
				return fmt.Errorf("%d looks at %d objects are over, %d are not", looks, len(all.Items), busy)
			}
			return nil
		})
		log = h.Log()
	})
	return log, metrics
}

// restart runs a host until it has looked at each object, and returns how often it called the module, and its log.
func (s *restarts) restart() (calls int, log string) {
	s.t.Helper()
	return s.restartUntil(func(*host) {})
}

func (s *restarts) restartUntil(story func(h *host)) (calls int, log string) {
	s.t.Helper()
	log, metrics := s.run(story)
	return metrics["wasmloop_module_calls_total"], log
}

// objects returns the objects of the kind in all namespaces.
func (s *restarts) objects() *unstructured.UnstructuredList {
	s.t.Helper()
	objects := &unstructured.UnstructuredList{}
	objects.SetAPIVersion("test.wasmloop.dev/v1")
	objects.SetKind("ElectedList")
	if err := api.List(s.t.Context(), objects); err != nil {
		s.t.Fatal(err)
	}
	return objects
}

// versions returns the resourceVersions of the objects and their children.
func (s *restarts) versions() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	objects := &unstructured.UnstructuredList{}
	objects.SetAPIVersion("test.wasmloop.dev/v1")
	objects.SetKind("ElectedList")
	for _, list := range []client.ObjectList{objects, &corev1.ConfigMapList{}} {
		if err := api.List(s.t.Context(), list, client.InNamespace(s.namespace)); err != nil {
			s.t.Fatal(err)
		}
		if err := eachItem(list, func(object client.Object) { found[object.GetName()] = object.GetResourceVersion() }); err != nil {
			s.t.Fatal(err)
		}
	}
	maps.DeleteFunc(found, func(name, _ string) bool { return name == "kube-root-ca.crt" })
	return found
}

// countersOf returns the values of a host's metrics that have a label, added up by name.
func countersOf(address, label string) (map[string]int, error) {
	response, err := http.Get("http://" + address + "/metrics") //nolint:noctx // the test's own process, and it ends with it
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = io.Copy(io.Discard, response.Body); _ = response.Body.Close() }()
	sums := map[string]int{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, rest, found := strings.Cut(lines.Text(), "{")
		labels, value, ended := strings.Cut(rest, "} ")
		if !found || !ended || !strings.Contains(labels, label) {
			continue
		}
		if number, err := strconv.Atoi(value); err == nil {
			sums[name] += number
		}
	}
	return sums, nil
}
