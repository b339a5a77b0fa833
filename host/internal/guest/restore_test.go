package guest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// modes are all ways to put instances back, and how Restoring calls them.
var modes = map[restoreMode]string{
	restoreBest:     "copy-on-write",
	restorePagemap:  "copy-on-write",
	restoreDontneed: "copy-on-write (no pagemap)",
	restoreCopy:     "copy",
	restoreFresh:    "fresh instance",
}

// states are fixtures that change some part of their state when they get an empty request, and answer with what they
// found of it: at first, and in the next call if nothing was put back. why is the reason why only a fresh instance will
// do, if that is so.
var states = map[string]struct{ first, next, why string }{
	"state_memory":           {"\x00", "\x02", ""},
	"state_many_pages":       {"\x00", "\x01", ""},
	"state_globals":          {"\x00", "\x04", ""},
	"state_grown_memory":     {"\x01", "\x02", ""},
	"state_table_set":        {"\x01", "\x01", "its code changes a table"},
	"state_table_grow":       {"\x01", "\x01", "its code changes a table"},
	"state_table_init":       {"\x01", "\x01", "its code changes a table"},
	"state_data_drop":        {"a", "a", "its code drops a data segment"},
	"state_elem_drop":        {"\x00", "\x00", "its code drops an element segment"},
	"state_vector_global":    {"\x00", "\x00", "it has a mutable global of a vector or reference type"},
	"state_reference_global": {"\x01", "\x01", "it has a mutable global of a vector or reference type"},
}

func TestNothingIsSeenByTheNextCall(t *testing.T) {
	for forced, mode := range modes {
		r := newRuntime(t, Options{restore: forced})
		for name, state := range states {
			t.Run(name+"/"+strconv.Itoa(int(forced)), func(t *testing.T) {
				want := [2]string{mode, "asked for"}
				if forced == restoreBest {
					want[1] = ""
				}
				if state.why != "" {
					want = [2]string{"fresh instance", state.why}
				}
				m := load(t, r, fixture(t, name), tight)
				var got [2]string
				got[0], got[1] = m.Restoring()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("way of putting back (-want +got):\n%s", diff)
				}
				first := expect(t, m, "", state.first)
				for range 5 {
					if diff := cmp.Diff(first, expect(t, m, "", state.first)); diff != "" {
						t.Errorf("another call (-first +this):\n%s", diff)
					}
				}
			})
		}
	}
}

// Pooled instances show that the fixtures do change their state. Those that need a fresh instance get one.
func TestPooledCallsSeeEachOther(t *testing.T) {
	r := newRuntime(t, Options{})
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			m, err := r.Load(t.Context(), fixture(t, name), tight, Pooled)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, m, "", state.first)
			expect(t, m, "", state.next)
		})
	}
}

// Memory that a call has grown is gone in the next: neither its size nor what was written there is left.
func TestGrownMemoryIsGone(t *testing.T) {
	for mode := range modes {
		m := load(t, newRuntime(t, Options{restore: mode}), fixture(t, "grown_memory_is_gone"), tight)
		for range 3 {
			result := expect(t, m, "", "{}")
			if result.Memory != 3*wasmPage {
				t.Errorf("%d bytes of memory, want 3 pages", result.Memory)
			}
			expect(t, m, "", "{}")
			if got, _ := callFor(t, m, "{ }"); got.Trap != "wasm error: out of bounds memory access" {
				t.Errorf("outcome %+v, want a trap", got)
			}
		}
	}
}

// Bytes, fuel and memory are the same whatever the way of putting back, also after other calls and failing ones.
func TestModesAgree(t *testing.T) {
	cases := map[string]struct {
		wasm     []byte
		requests []string
	}{
		"a Go module":     {goModule, []string{string(goRequest), "{}", "", string(goRequest)}},
		"answers":         {fixture(t, "answers"), []string{"", "hello", strings.Repeat("x", 60_000), "hello"}},
		"start":           {fixture(t, "start_changes_state"), []string{"", ""}},
		"time and random": {fixture(t, "clock_and_random"), []string{"", ""}},
		"grown memory":    {fixture(t, "state_grown_memory"), []string{"", "{ }", ""}},
		"much memory":     {fixture(t, "state_many_pages"), []string{"", "{ }", ""}},
		"any import":      {fixture(t, "any_import"), []string{"\x00", "\x03", "\x02", "\x00"}},
		"traps":           {fixture(t, "trap_divide"), []string{"{ }", "", "{ }"}},
		"table":           {fixture(t, "state_table_grow"), []string{"", ""}},
		"command":         {fixture(t, "command_answers"), []string{"", "hello", "hello"}},
	}
	type answer struct {
		Outcome      outcome
		Fuel, Memory uint64
	}
	cache := t.TempDir() // to save time
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []answer
			for _, mode := range slices.Sorted(maps.Keys(modes)) {
				m := load(t, newRuntime(t, Options{restore: mode, CacheDir: cache}), c.wasm, Limits{})
				var got []answer
				for range 2 {
					for _, request := range c.requests {
						o, result := callFor(t, m, request)
						got = append(got, answer{o, result.Fuel, result.Memory})
					}
				}
				if want == nil {
					want = slices.Repeat(got[:len(c.requests)], 2) // both rounds are alike
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("mode %s (-want +got):\n%s", modes[mode], diff)
				}
			}
		})
	}
}

// childEnv names the module that a process of TestProcessesAgree is to call.
const childEnv = "WASMLOOP_TEST_MODULE"

// Another process gets the same bytes for the same fuel, and so does this one after many other calls.
func TestProcessesAgree(t *testing.T) {
	if path := os.Getenv(childEnv); path != "" {
		wasm, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(described(callFor(t, load(t, newRuntime(t, Options{}), wasm, Limits{}), string(goRequest))))
		return
	}
	path := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(path, goModule, 0o600); err != nil {
		t.Fatal(err)
	}
	m := load(t, newRuntime(t, Options{}), goModule, Limits{})
	want := described(callFor(t, m, string(goRequest)))
	for n := range 1000 {
		callFor(t, m, fmt.Sprintf(`{"object":{"metadata":{"name":"%d"}}}`, n))
	}
	if diff := cmp.Diff(want, described(callFor(t, m, string(goRequest)))); diff != "" {
		t.Errorf("after other calls (-want +got):\n%s", diff)
	}
	if got := runAgain(t, "TestProcessesAgree", childEnv+"="+path); !strings.Contains(got, want+"\n") {
		t.Errorf("another process has\n%s\nwant\n%s", got, want)
	}
}

func described(o outcome, result *Result) string {
	return fmt.Sprintf("%+v, fuel %d, memory %d", o, result.Fuel, result.Memory)
}

// runAgain runs a test in a process of its own, and returns what it prints.
func runAgain(t *testing.T, test string, env ...string) string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^"+test+"$")
	child.Env = append(os.Environ(), env...)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Errorf("another process: %v\n%s", err, out)
	}
	return string(out)
}
