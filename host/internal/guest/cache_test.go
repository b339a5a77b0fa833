package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entries returns what a cache has on disk, beside its notes, by path.
func entries(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == digestsFile || entry.Name() == lockedFile {
			return err
		}
		found[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// cached returns the path and content of the only entry.
func cached(t *testing.T, dir string) (path string, content []byte) {
	t.Helper()
	found := entries(t, dir)
	if len(found) != 1 {
		t.Fatalf("%d entries, want 1", len(found))
	}
	path = slices.Collect(maps.Keys(found))[0]
	return path, found[path]
}

// useCache loads the fixture that answers, in a Runtime of its own, and calls it.
func useCache(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	r, err := NewRuntime(ctx, Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, load(t, r, fixture(t, "answers"), Limits{}), "hello", "hello")
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestCacheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	old, other := filepath.Join(dir, "wazero-v0.0.0-meter-0"), filepath.Join(dir, "somebody's")
	for _, folder := range []string{old, other} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	useCache(t, dir)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("the folder's mode is %o, want 700", got)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the folder of an old version is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a folder that is none of the cache's was removed: %v", err)
	}
	path, content := cached(t, dir)
	useCache(t, dir) // another Runtime takes what is there
	again, same := cached(t, dir)
	if path != again || !bytes.Equal(content, same) {
		t.Error("a second Runtime has written another entry")
	}
}

// An entry that is not what was written is never run: it is compiled anew.
func TestSpoiltCacheIsRebuilt(t *testing.T) {
	cases := map[string]func(entry []byte) []byte{
		"corrupt":   func(entry []byte) []byte { entry[len(entry)/2] ^= 1; return entry },
		"truncated": func(entry []byte) []byte { return entry[:len(entry)/2] },
		"empty":     func([]byte) []byte { return nil },
		"foreign":   func([]byte) []byte { return []byte("not machine code") },
		"longer":    func(entry []byte) []byte { return append(entry, 0) },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			useCache(t, dir)
			path, want := cached(t, dir)
			if err := os.WriteFile(path, spoil(bytes.Clone(want)), 0o600); err != nil {
				t.Fatal(err)
			}
			useCache(t, dir)
			if _, got := cached(t, dir); !bytes.Equal(got, want) {
				t.Error("the entry was not built anew")
			}
		})
	}
}

// Without its note an entry is not trusted, be it what it was or somebody else's.
func TestCacheWithoutNotesIsRebuilt(t *testing.T) {
	dir := t.TempDir()
	useCache(t, dir)
	path, want := cached(t, dir)
	foreign := filepath.Join(filepath.Dir(path), "0000")
	if err := os.WriteFile(foreign, []byte("machine code of somebody else"), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(filepath.Dir(filepath.Dir(path)), digestsFile)
	if err := os.WriteFile(notes, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	useCache(t, dir)
	if _, got := cached(t, dir); !bytes.Equal(got, want) {
		t.Error("the entry was not built anew")
	}
}

// A spoilt entry is noticed while the process runs, too.
func TestCacheIsCheckedAtEachLoad(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, Options{CacheDir: dir})
	m := load(t, r, fixture(t, "answers"), Limits{})
	path, want := cached(t, dir)
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xcc}, len(want)), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, load(t, r, fixture(t, "answers"), Limits{}), "hello", "hello")
	if _, got := cached(t, dir); !bytes.Equal(got, want) {
		t.Error("the entry was not built anew")
	}
}

// A process of another version may remove the folder while this one runs.
func TestCacheThatGoesAway(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, Options{CacheDir: dir})
	load(t, r, fixture(t, "answers"), Limits{})
	path, _ := cached(t, dir)
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(path))); err != nil {
		t.Fatal(err)
	}
	expect(t, load(t, r, fixture(t, "trap_divide"), Limits{}), "{ }", "{}")
}

// cacheEnv names the folder that the processes of TestProcessesShareACache use.
const cacheEnv = "WASMLOOP_TEST_CACHE"

// Processes that use one folder at the same time neither fail nor remove what others have written.
func TestProcessesShareACache(t *testing.T) {
	names := []string{"answers", "trap_divide", "state_globals", "clock_and_random", "start_changes_state"}
	if dir := os.Getenv(cacheEnv); dir != "" {
		for range 5 {
			r, err := NewRuntime(t.Context(), Options{CacheDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				load(t, r, fixture(t, name), Limits{})
			}
			if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
		return
	}
	dir := t.TempDir()
	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() {
			child := exec.Command(os.Args[0], "-test.run", "^TestProcessesShareACache$")
			child.Env = append(os.Environ(), cacheEnv+"="+dir)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("another process: %v\n%s", err, out)
			}
		})
	}
	processes.Wait()
	before := entries(t, dir)
	if len(before) != len(names) {
		t.Errorf("%d entries for %d modules", len(before), len(names))
	}
	useCache(t, dir)
	if diff := cmp.Diff(before, entries(t, dir)); diff != "" {
		t.Error("what the processes have left was not trusted")
	}
}

// TestCacheThatCannotBeWritten has a module not load for a reason that may go away, which is not said to be the module's.
func TestCacheThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, Options{CacheDir: dir})
	load(t, r, fixture(t, "answers"), Limits{})
	path, _ := cached(t, dir)
	versions := filepath.Dir(filepath.Dir(path))
	if err := os.RemoveAll(versions); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(versions, nil, 0o600); err != nil { // as root writes to any folder, but to none that is a file
		t.Fatal(err)
	}
	_, err := r.Load(t.Context(), fixture(t, "trap_divide"), Limits{}, Hermetic)
	if failed, ok := errors.AsType[*LoadError](err); !ok || !failed.Temporary() || !strings.Contains(failed.Reason, "cannot be kept") {
		t.Errorf("loading says %v", err)
	}
	if err := os.Remove(versions); err != nil {
		t.Fatal(err)
	}
	load(t, r, fixture(t, "trap_divide"), Limits{})
}

func TestCacheFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRuntime(t.Context(), Options{CacheDir: file}); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// 1,000 Modules of one digest are one program.
func TestModulesShareAProgram(t *testing.T) {
	r := newRuntime(t, Options{})
	var modules []*Module
	for range 1000 {
		modules = append(modules, load(t, r, fixture(t, "answers"), Limits{}))
	}
	if len(r.programs) != 1 {
		t.Errorf("%d programs, want 1", len(r.programs))
	}
	for n, m := range modules {
		if n < len(modules)-1 {
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := modules[len(modules)-1]
	expect(t, last, "hello", "hello")
	if err := last.Close(t.Context()); err != nil || len(r.programs) != 0 {
		t.Errorf("%d programs are left: %v", len(r.programs), err)
	}
}

// One module with two limits is two programs, of one compiled module: closing one leaves the other.
func TestLimitsSideBySide(t *testing.T) {
	for mode := range modes {
		t.Run(modes[mode]+fmt.Sprint(int(mode)), func(t *testing.T) {
			r := newRuntime(t, Options{restore: mode})
			small := load(t, r, fixture(t, "grow_until_refused"), Limits{Memory: 1 << 20})
			large := load(t, r, fixture(t, "grow_until_refused"), Limits{Memory: 8 << 20})
			for range 2 {
				for m, want := range map[*Module]uint64{small: 1 << 20, large: 8 << 20} {
					got, result := callFor(t, m, "")
					if got.Limit != "memory" || result.Memory != want {
						t.Errorf("outcome %+v with %d bytes, want the limit of memory with %d", got, result.Memory, want)
					}
				}
			}
			if err := small.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, large, "{ }", "{}")
		})
	}
}
