package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

var (
	remembering = config.Controller{Name: "site", Module: "site"}
	sites       = reconcile.Kind{GroupVersionKind: modern}
	first       = types.NamespacedName{Namespace: "default", Name: "first"}
	second      = types.NamespacedName{Namespace: "default", Name: "second"}
)

// opened opens the outcomes in a cache folder, and collects what they log.
func opened(t *testing.T, dir string, entry config.Controller, digest string) (o *outcomes, logged *[]string) {
	t.Helper()
	logged = &[]string{}
	log := funcr.New(func(_, line string) { *logged = append(*logged, line) }, funcr.Options{})
	o, err := openOutcomes(dir, entry, digest, log)
	if err != nil {
		t.Fatal(err)
	}
	return o, logged
}

// filled returns a cache folder in which a process has left one outcome for each of two objects.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	o, _ := opened(t, dir, remembering, "digest")
	o.Settled(sites, first, reconcile.Identity{1})
	o.Settled(sites, second, reconcile.Identity{2})
	o.writeDown()
	return dir
}

func TestOutcomesOutliveTheProcess(t *testing.T) {
	o, logged := opened(t, filled(t), remembering, "digest")
	for i, want := range map[byte]bool{1: true, 2: true, 3: false} {
		if got := o.Known(reconcile.Identity{i}); got != want {
			t.Errorf("identity %d: known %t, want %t", i, got, want)
		}
	}
	if len(*logged) > 0 {
		t.Errorf("there is nothing to tell of, and it logs %q", *logged)
	}
}

// What is known is about one module, one config entry and one host.
func TestOutcomesOfOthers(t *testing.T) {
	changed := remembering
	changed.Settings = json.RawMessage(`{"a": "b"}`)
	limited := remembering
	limited.Limits.Fuel = "1k"
	cases := map[string]struct {
		entry  config.Controller
		digest string
	}{
		"another module":     {remembering, "another digest"},
		"other settings":     {changed, "digest"},
		"other limits":       {limited, "digest"},
		"another controller": {config.Controller{Name: "page", Module: "site"}, "digest"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			if o, _ := opened(t, dir, tc.entry, tc.digest); o.Known(reconcile.Identity{1}) {
				t.Error("it takes the outcomes for its own")
			}
			kept := tc.entry.Name != remembering.Name
			if files := outcomeFiles(t, dir); (len(files) == 1) != kept {
				t.Errorf("the controller's outcomes of before are %q", files)
			}
		})
	}
}

func outcomeFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "outcomes", remembering.Name, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A file that is not whole is passed over, and said to be.
func TestOutcomesDamaged(t *testing.T) {
	cases := map[string]func(data []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut short":     func(data []byte) []byte { return data[:len(data)-1] },
		"a sum alone":   func(data []byte) []byte { return data[:32] },
		"a changed bit": func(data []byte) []byte { data[len(data)-1] ^= 1; return data },
		"something at the end": func(data []byte) []byte {
			return append(data, make([]byte, 32)...)
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := outcomeFiles(t, dir)[0]
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			o, logged := opened(t, dir, remembering, "digest")
			if o.Known(reconcile.Identity{1}) || o.Known(reconcile.Identity{}) {
				t.Error("it believes a damaged file")
			}
			if len(*logged) != 1 || !strings.Contains((*logged)[0], "damaged") || !strings.Contains((*logged)[0], path) {
				t.Errorf("it logs %q", *logged)
			}
		})
	}
}

// What is written down is what holds now: not what was known and has not come up again, nor what has been taken back.
func TestOutcomesForget(t *testing.T) {
	dir := filled(t)
	o, _ := opened(t, dir, remembering, "digest")
	o.Settled(sites, first, reconcile.Identity{3})
	o.Settled(sites, second, reconcile.Identity{2})
	o.Unsettled(sites, second)
	o.writeDown()
	o, _ = opened(t, dir, remembering, "digest")
	got := map[byte]bool{}
	for i := byte(1); i <= 3; i++ {
		got[i] = o.Known(reconcile.Identity{i})
	}
	if diff := cmp.Diff(map[byte]bool{1: false, 2: false, 3: true}, got); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
}

// A write costs a file each time, so there is none without a change; and a change that could not be written is not lost.
func TestOutcomesWrite(t *testing.T) {
	dir := filled(t)
	path := outcomeFiles(t, dir)[0]
	o, logged := opened(t, dir, remembering, "digest")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o.writeDown()
	if _, err := os.Stat(path); err == nil {
		t.Error("it writes though nothing has changed")
	}
	o.Settled(sites, first, reconcile.Identity{1})
	if err := os.Mkdir(path, 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	o.writeDown()
	if len(*logged) != 1 || !strings.Contains((*logged)[0], "cannot remember outcomes") {
		t.Errorf("it logs %q", *logged)
	}
	if files := outcomeFiles(t, dir); len(files) != 1 {
		t.Errorf("it leaves files behind: %q", files)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o.writeDown()
	if o, _ = opened(t, dir, remembering, "digest"); !o.Known(reconcile.Identity{1}) {
		t.Error("what could not be written is lost")
	}
	if mode := modeOf(t, path); mode != 0o600 {
		t.Errorf("others may read what is remembered: %o", mode)
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// A controller runs without outcomes if they cannot be kept.
func TestOutcomesCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "outcomes"), nil, 0o600); err != nil { // no folder
		t.Fatal(err)
	}
	r := &runner{engine: &Engine{cacheDir: dir}, entry: remembering}
	said := ""
	log := funcr.New(func(_, line string) { said += line }, funcr.Options{})
	if r.outcomes("digest", log) != nil || !strings.Contains(said, "not remembered") {
		t.Errorf("want none and a log line, got %q", said)
	}
}

// Who has no use for outcomes has none.
func TestNoOutcomes(t *testing.T) {
	clock := remembering
	clock.Clock = true
	cases := map[string]struct {
		runner *runner
		digest string
	}{
		"no cache folder": {&runner{engine: &Engine{}, entry: remembering}, "digest"},
		"no module":       {&runner{engine: &Engine{cacheDir: t.TempDir()}, entry: remembering}, ""},
		"a clock":         {&runner{engine: &Engine{cacheDir: t.TempDir()}, entry: clock}, "digest"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.runner.outcomes(c.digest, logr.Discard()) != nil {
				t.Error("there are outcomes")
			}
		})
	}
}
