package record

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

func TestRedact(t *testing.T) {
	tests := map[string]struct{ reason, document, want string }{
		"a Secret that is reconciled": {
			"lengths and names stay",
			`{"object":{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"key":"c2VjcmV0MQ=="},"stringData":{"x":"plain"}}}`,
			`{"object":{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"key":"AAAAAAAAAA=="},"stringData":{"x":"AAAAA"}}}`,
		},
		"what kubectl keeps of it": {
			"other annotations stay",
			`{"object":{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"{\"data\":1}"}}}}`,
			`{"object":{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"AAAAAAAAAAAA"}}}}`,
		},
		"children and related": {
			"wherever they are in a request",
			`{"controller":"c","children":{"Secret.v1":{"n/s":{"apiVersion":"v1","kind":"Secret","data":{"k":"YQ=="}}},"ConfigMap.v1":{"n/c":{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}}}},"related":{"Secret.v1":{"n/t":{"apiVersion":"v1","kind":"Secret","data":{"k":"YWE="}}}}}`,
			`{"controller":"c","children":{"Secret.v1":{"n/s":{"apiVersion":"v1","kind":"Secret","data":{"k":"AA=="}}},"ConfigMap.v1":{"n/c":{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}}}},"related":{"Secret.v1":{"n/t":{"apiVersion":"v1","kind":"Secret","data":{"k":"AAA="}}}}}`,
		},
		"a response": {
			"its children are a list",
			`{"children":[{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}},{"apiVersion":"v1","kind":"Secret","stringData":{"k":"v"}}],"status":{"x":1}}`,
			`{"children":[{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}},{"apiVersion":"v1","kind":"Secret","stringData":{"k":"A"}}],"status":{"x":1}}`,
		},
		"another kind of that name": {
			"it is no Secret of the API",
			`{"object":{"apiVersion":"example.com/v1","kind":"Secret","data":{"k":"v"}}}`,
			`{"object":{"apiVersion":"example.com/v1","kind":"Secret","data":{"k":"v"}}}`,
		},
		"no object": {"nothing is in it that would have to go", `[1, 2]`, `[1, 2]`},
		"broken":    {"nobody knows what is in it", `{"object":{"apiVersion":"v1","kind":"Secret"`, `"(no JSON)"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(redact([]byte(tt.document)))); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func recordingOf(second int, name, response, err string) *Recording {
	return &Recording{
		Version: Version, Time: time.Date(2026, 1, 2, 3, 4, second, 5, time.UTC), Host: "test", Controller: "c",
		Module:  Module{Name: "m", Source: "file:///m.wasm", Digest: "sha256:0", Isolation: guest.Hermetic},
		Request: []byte(`{"object":{"metadata":{"namespace":"n","name":"` + name + `"},"text":"<a & b>"}}`), Response: response, Error: err,
	}
}

// kept returns the names of the files of a folder.
func kept(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestStore writes recordings and reads them again.
func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	var failures []error
	s, err := Open(StoreOptions{Dir: dir, Secrets: true, Done: func(err error) { failures = append(failures, err) }})
	if err != nil {
		t.Fatal(err)
	}
	want := recordingOf(1, "a", `{"status": {"text": "<a & b>"}}`, "")
	s.Add(want)
	s.Close()
	if diff := cmp.Diff([]string{"20260102T030401.000000005_c_n_a.json"}, kept(t, dir)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	if err := errors.Join(failures...); err != nil || len(failures) != 1 {
		t.Errorf("got %v", failures)
	}
	got, err := Read(filepath.Join(dir, "20260102T030401.000000005_c_n_a.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, kept(t, dir)[0]))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others must not read it: %v, %v", info.Mode(), err)
	}
}

// TestStoreFailures keeps just what failed.
func TestStoreFailures(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(StoreOptions{Dir: dir, FailuresOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Add(recordingOf(1, "fine", `{}`, ""))
	s.Add(recordingOf(2, "trapped", ``, "it trapped"))
	s.Add(recordingOf(3, "nonsense", `{"childs": []}`, ""))
	s.Add(recordingOf(4, "says-so", `{"error": {"message": "no"}}`, ""))
	s.Close()
	want := []string{
		"20260102T030402.000000005_c_n_trapped.json", "20260102T030403.000000005_c_n_nonsense.json", "20260102T030404.000000005_c_n_says-so.json",
	}
	if diff := cmp.Diff(want, kept(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestStoreBound has the oldest go first, those of an earlier process too, and nobody else's files.
func TestStoreBound(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.json"), []byte(strings.Repeat("x", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	size := 0
	for process := range 3 {
		s, err := Open(StoreOptions{Dir: dir, MaxBytes: int64(3*size + size/2)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			r := recordingOf(10*process+i, "a", `{}`, "")
			r.Redacted = true
			encoded, err := r.encode()
			if err != nil {
				t.Fatal(err)
			}
			size = len(encoded)
			s.Add(r)
		}
		s.Close()
	}
	want := []string{"20260102T030411.000000005_c_n_a.json", "20260102T030420.000000005_c_n_a.json", "20260102T030421.000000005_c_n_a.json", "notes.json"}
	if diff := cmp.Diff(want, kept(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var lost []error
	s, err := Open(StoreOptions{Dir: dir, MaxBytes: 10, Done: func(err error) { lost = append(lost, err) }})
	if err != nil {
		t.Fatal(err)
	}
	s.Add(recordingOf(30, "a", `{}`, ""))
	s.Close()
	if len(lost) != 1 || lost[0] == nil || !strings.Contains(lost[0].Error(), "larger than all may be together") {
		t.Errorf("got %v", lost)
	}
	if diff := cmp.Diff(want, kept(t, dir)); diff != "" {
		t.Errorf("for what has no place nothing goes: -want +got:\n%s", diff)
	}
}

func TestReadFaults(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct{ content, want string }{
		"no JSON":      {"hello", "is no recording"},
		"another file": {`{"apiVersion": "v1"}`, "want a file that wasmloop run --record has written"},
		"later form":   {`{"version": 9, "module": {"digest": "sha256:0"}, "request": {}}`, "has version 9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "recording")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got the error %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got the error %v", err)
	}
}

// TestReplay makes calls again that ended in one way or another.
func TestReplay(t *testing.T) {
	for module, want := range map[string]struct{ response, err string }{
		"answers":         {`{"object":{"metadata":{"namespace":"n","name":"a"},"text":"<a & b>"}}`, ""},
		"command_answers": {`{"object":{"metadata":{"namespace":"n","name":"a"},"text":"<a & b>"}}`, ""},
		"command_trap":    {"", "module trapped: wasm error: unreachable"},
	} {
		t.Run(module, func(t *testing.T) {
			fetched, err := source.Fetch(t.Context(), "file://"+fixture(t, module))
			if err != nil {
				t.Fatal(err)
			}
			r := recordingOf(1, "a", want.response, want.err)
			r.Module.Digest = fetched.Digest
			replayed, err := r.Replay(t.Context(), fetched, "")
			if err != nil {
				t.Fatal(err)
			}
			r.Fuel = replayed.Fuel
			if !replayed.Same(r) || replayed.Fuel == 0 {
				t.Errorf("got %+v, want %+v", replayed, want)
			}
			r.Fuel++
			if replayed.Same(r) {
				t.Error("other fuel is something else")
			}
		})
	}
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../guest/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
