package check_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/render/check"
)

const root = "../../../.."

// cacheDir keeps a compiled module from one run of the tests to the next. Each has a folder of its own, since whoever opens one
// reads all that is in it.
func cacheDir(url string) string { return root + "/bin/test-cache/" + filepath.Base(url) }

// faults builds the module with the faults.
var faults = sync.OnceValues(func() (string, error) {
	wasm, err := filepath.Abs(root + "/bin/faults.wasm")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w", "-o", wasm, "./testdata/faults")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return "file://" + wasm, nil
})

// entryOf is the controller's entry with a fault chosen.
func entryOf(t *testing.T, url, fault string) *config.Controller {
	t.Helper()
	conf, err := config.Parse("config.yaml", []byte(`
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules: {faults: {source: "`+url+`", limits: {fuel: 50M}}}
controllers:
- name: faults
  module: faults
  for: {apiVersion: check.test/v1, kind: Thing}
  owns: [{apiVersion: v1, kind: ConfigMap}]
  settings: {fault: `+fault+`}
`))
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Controllers[0]
}

const thing = `
apiVersion: check.test/v1
kind: Thing
metadata: {name: t, namespace: default, labels: {a: b}}
spec:
  unused: [1, 2, 3]
  words: {one: eins, two: zwei, three: drei, four: vier, five: fünf}
`

// search checks a module with one object.
func search(t *testing.T, url string, entry *config.Controller, text string, options check.Options) *check.Report {
	t.Helper()
	sandbox, err := render.NewSandbox(t.Context(), render.SandboxOptions{CacheDir: cacheDir(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sandbox.Close(context.Background()) })
	module, err := sandbox.Load(t.Context(), url, entry)
	if err != nil {
		t.Fatal(err)
	}
	others, closeAll, err := check.Others(t.Context(), url, entry, cacheDir(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	objects, err := render.Decode("thing.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	options.Others = others
	report, err := check.Run(t.Context(), check.InputsOf(render.Input{Entry: entry, Module: module}, objects), options, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestPlantedFaults has each fault found.
func TestPlantedFaults(t *testing.T) {
	url, err := faults()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason   string
		property string
		says     string
	}{
		"append":   {"it writes more on every call", "coming to rest", "still something to do"},
		"maporder": {"a map has another order in every process", "deterministic", "random stream"},
		"time":     {"it is another day elsewhere", "deterministic", "clock"},
		"flipflop": {"each of its answers undoes the other", "of one mind", "2 answers"},
		"crash":    {"it believes what it has not seen", "indifferent to where it starts", "the host ends after its write 1"},
		"trap":     {"only a variation of the object has it trap", "within its bounds", "trapped"},
		"loop":     {"only a variation of the object has it loop", "within its bounds", "fuel"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := search(t, url, entryOf(t, url, name), thing, check.Options{Time: time.Minute})
			found := report.Violation
			if found == nil {
				t.Fatalf("%s: nothing was found: %+v", tt.reason, report)
			}
			if found.Property != tt.property || !strings.Contains(found.Reason, tt.says) {
				t.Errorf("%s: got %v\n%s", tt.reason, found, found.Detail)
			}
			if spec, _ := found.Object.Object["spec"].(map[string]any); spec["unused"] != nil {
				t.Errorf("what does not matter is left out: got %v", found.Object.Object)
			}
		})
	}
}

// TestNoFault finds nothing where nothing is.
func TestNoFault(t *testing.T) {
	url, err := faults()
	if err != nil {
		t.Fatal(err)
	}
	report := search(t, url, entryOf(t, url, "none"), thing, check.Options{Time: time.Minute})
	if report.Violation != nil {
		t.Errorf("got %v\n%s", report.Violation, report.Violation.Detail)
	}
	if report.Variations < 20 || report.States < 100 {
		t.Errorf("it looks at little: %+v", report)
	}
	t.Logf("%+v", report)
}
