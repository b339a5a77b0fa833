package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFetch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a module.wasm")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Fetch(t.Context(), "file://"+path)
	if err != nil {
		t.Fatal(err)
	}
	const digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	want := &Module{Bytes: []byte("abc"), Digest: digest, Pinned: "file://" + path + "@" + digest}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFetchFails(t *testing.T) {
	folder := t.TempDir()
	huge := filepath.Join(folder, "huge.wasm")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxModule+1); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		url    string
		is     error // nil: any
	}{
		"no digest":    {"what a server has may change", "https://example.com/a.wasm", nil},
		"a path alone": {"the config resolves paths", huge, nil},
		"missing file": {"who calls can wait for it", "file://" + filepath.Join(folder, "none.wasm"), fs.ErrNotExist},
		"folder":       {"it cannot be read", "file://" + folder, nil},
		"too large":    {"it would have to be held in memory", "file://" + huge, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Fetch(t.Context(), tt.url); err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%s: got error %v, want %v", tt.reason, err, tt.is)
			}
		})
	}
}
