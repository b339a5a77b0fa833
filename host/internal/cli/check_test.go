package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// faults builds a module that has faults.
var faults = sync.OnceValues(func() (string, error) {
	wasm, err := filepath.Abs(filepath.Join(repository, "bin/faults-cli.wasm"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w", "-o", wasm, "../render/check/testdata/faults")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return wasm, nil
})

// faulty is a config of a module with a fault.
func faulty(t *testing.T, fault string) string {
	t.Helper()
	wasm, err := faults()
	if err != nil {
		t.Fatal(err)
	}
	return "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules: {f: {source: 'file://" + wasm + "', limits: {fuel: 20M}}}\ncontrollers:\n" +
		"- {name: f, module: f, for: {apiVersion: check.test/v1, kind: Thing}, owns: [{apiVersion: v1, kind: ConfigMap}], settings: {fault: " + fault + "}}\n"
}

// TestCheck checks a module with a fault and one without.
func TestCheck(t *testing.T) {
	files := map[string]string{
		"flipflop.yaml": faulty(t, "flipflop"), "none.yaml": faulty(t, "none"), "crash.yaml": faulty(t, "crash"),
		"thing.yaml": "apiVersion: check.test/v1\nkind: Thing\nmetadata: {name: t, namespace: default}\nspec: {words: {a: b}, other: 1}\n",
		"pod.yaml":   pod, "empty.yaml": "",
	}
	tests := map[string]struct {
		reason string
		args   []string
		code   int
		stdout []string
		stderr string
	}{
		"nothing": {"there is none", []string{"--config=none.yaml", "--time=1s", "thing.yaml"}, 0, []string{"✔ nothing found: 1 object, "}, ""},
		"flip-flop": {
			"it is shown as short as can be",
			[]string{"--config=flipflop.yaml", "thing.yaml"},
			1,
			[]string{"-    text: ", "-- testdata/not-of-one-mind/object.yaml --\napiVersion: check.test/v1\nkind: Thing\nmetadata:\n  name: t\n  namespace: default\n"},
			"✗ Thing default/t: not of one mind: it goes round in 2 answers\n",
		},
		"crash": {
			"with what there is then",
			[]string{"--config=crash.yaml", "thing.yaml"},
			1,
			[]string{"/observed.yaml --\napiVersion: v1\n", "name: t-1"},
			"when the host ends after its write 1 of 2, it ends elsewhere",
		},
		"no object":  {"of what?", []string{"--config=none.yaml", "empty.yaml"}, 1, nil, "empty.yaml has no object"},
		"other kind": {"it has nothing to say", []string{"--config=none.yaml", "pod.yaml"}, 1, nil, "reconciles v1 Pod"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, files, append([]string{"check", compiled(t)}, tt.args...)...)
			if got.Code != tt.code || !strings.Contains(got.Stderr, tt.stderr) {
				t.Errorf("%s: got %+v, want %d, %q", tt.reason, got, tt.code, tt.stderr)
			}
			for _, part := range tt.stdout {
				if !strings.Contains(got.Stdout, part) {
					t.Errorf("%s: no %q in %s", tt.reason, part, got.Stdout)
				}
			}
		})
	}
}
