package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lastRecording waits until there are recordings of an object, and returns the last.
func lastRecording(t *testing.T, dir, name string) (path string) {
	t.Helper()
	eventually(t, func() error {
		found, err := filepath.Glob(filepath.Join(dir, "*_"+name+".json"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no recording of %s in %s: %w", name, dir, err)
		}
		path = found[len(found)-1]
		return nil
	})
	return path
}

// TestRecordAndReplay records calls in a cluster, and makes them again without one.
func TestRecordAndReplay(t *testing.T) {
	namespace := newNamespace(t)
	config := leaving(t, namespace, "recorded", "{apiVersion: v1, kind: ConfigMap}")
	dir := filepath.Join(t.TempDir(), "recordings")
	object := `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: NAME}, spec: {mode: "MODE", text: hello, children: [c]}}`
	runWith(t, config, []string{"--record", dir}, func(*host) {
		create(t, namespace, strings.NewReplacer("NAME", "fine", "MODE", "").Replace(object))
		waitFor(t, "v1", "ConfigMap", namespace, "c", field("hello", "data", "text"))
		create(t, namespace, strings.NewReplacer("NAME", "panics", "MODE", "panic").Replace(object))
		lastRecording(t, dir, "panics")
	})
	failures := filepath.Join(t.TempDir(), "failures")
	runWith(t, config, []string{"--record", failures, "--record-failures"}, func(*host) { lastRecording(t, failures, "panics") })
	if found, err := filepath.Glob(filepath.Join(failures, "*_fine.json")); err != nil || len(found) > 0 {
		t.Errorf("what does not fail is recorded: %q, %v", found, err)
	}

	cached := []string{"--cache-dir", filepath.Join(built, "compiled")}
	replay := func(args ...string) answer {
		t.Helper()
		return command(t, append(append([]string{"replay"}, args...), cached...)...)
	}
	for name, path := range map[string]string{
		"an answer": lastRecording(t, dir, "fine"), "a panic": lastRecording(t, dir, "panics"), "a failure": lastRecording(t, failures, "panics"),
	} {
		t.Run(name, func(t *testing.T) {
			got := replay(path, "-o", "json")
			var compared struct{ Same bool }
			if err := json.Unmarshal([]byte(got.stdout), &compared); err != nil || !compared.Same || got.code != 0 {
				t.Errorf("it must be the same again: %+v, %v", got, err)
			}
			if got := replay(path); got.code != 0 || !strings.Contains(got.stdout, "as recorded") || strings.Contains(got.stdout, "not as recorded") {
				t.Errorf("and be said so: %+v", got)
			}
		})
	}
	t.Run("another module", func(t *testing.T) {
		got := replay(lastRecording(t, dir, "fine"), "--module", filepath.Join(built, "podlogger.wasm"))
		if got.code != 0 || !strings.Contains(got.stdout, "not as recorded: see below") || !strings.Contains(got.stdout, "\n-children:") {
			t.Errorf("it shows what another module answers: %+v", got)
		}
	})
	t.Run("a changed recording", func(t *testing.T) {
		data, err := os.ReadFile(lastRecording(t, dir, "fine"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "changed.json")
		write(t, path, strings.ReplaceAll(string(data), "hello", "hallo there"))
		if got := replay(path); got.code != 1 || !strings.Contains(got.stderr, "the call is not as recorded") {
			t.Errorf("it says what is so: %+v", got)
		}
	})
	t.Run("no recording", func(t *testing.T) {
		if got := replay(config); got.code != 1 || !strings.Contains(got.stderr, "is no recording") {
			t.Errorf("it says so: %+v", got)
		}
	})
}
