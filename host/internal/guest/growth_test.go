//go:build linux

package guest

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usage is what calls must not add to.
type usage struct {
	Mappings, Files, Goroutines int
	Resident                    int // KiB
}

func measure(t *testing.T) usage {
	t.Helper()
	for range 3 { // wazero frees machine code and stacks by finalizers
		runtime.GC()
	}
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	resident, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return usage{bytes.Count(maps, []byte("\n")), len(files), runtime.NumGoroutine(), resident}
}

// grew says whether more is in use than can come from chance: a heap that is a little larger, or mapped in other pieces.
func (u usage) grew(since usage) bool {
	return u.Mappings > since.Mappings+20 || u.Files > since.Files || u.Goroutines > since.Goroutines ||
		u.Resident > since.Resident+16<<10
}

// However many calls there are, and however they end, nothing grows. The number of calls is that of the flag -calls.
func TestCallsLeaveNothingBehind(t *testing.T) {
	cases := map[string]struct {
		wasm    []byte
		request string
		part    int // of the calls: those of expensive cases are fewer
	}{
		"a Go module":      {goModule, string(goRequest), 1},
		"answers":          {fixture(t, "answers"), "hello", 1},
		"memory that grew": {fixture(t, "state_grown_memory"), "", 1},
		"many pages":       {fixture(t, "state_many_pages"), "", 10},
		"traps":            {fixture(t, "trap_divide"), "", 1},
		"exits":            {fixture(t, "exit_three"), "", 1},
		"errors":           {fixture(t, "error_terminal"), "", 1},
		"fuel":             {fixture(t, "loop_br"), "", 10},
		"memory":           {fixture(t, "grow_until_refused"), "", 10},
		"call depth":       {fixture(t, "recursion_deep"), "", 100},
		"fresh instances":  {fixture(t, "state_table_grow"), "", 3},
		"commands":         {fixture(t, "command_answers"), "hello", 3},
	}
	r := newRuntime(t, Options{})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := load(t, r, c.wasm, Limits{Fuel: 5_000_000, Memory: 8 << 20})
			some := *calls/c.part/10 + 1
			call := func(n int) {
				for range n {
					_, _ = m.Call(t.Context(), []byte(c.request), noLog)
				}
			}
			call(some)
			before := measure(t)
			call(10 * some)
			if after := measure(t); after.grew(before) {
				t.Errorf("after %d calls more is in use: %+v, before %+v", 10*some, after, before)
			}
		})
	}
}

// Modules that are loaded and closed leave nothing behind, and neither do those that cannot be loaded.
func TestLoadsLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, Options{CacheDir: dir})
	names := []string{"answers", "state_globals", "command_answers", "start_trap", "version_two", "import_unknown_function", "huge_table"}
	round := func(n int) {
		for i := range n {
			for _, name := range names {
				m, err := r.Load(t.Context(), fixture(t, name), Limits{Fuel: uint64(1_000_000 + i%7)}, Hermetic)
				if err != nil {
					continue
				}
				_, _ = m.Call(t.Context(), []byte("{ }"), noLog)
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	}
	some := *calls/300 + 1
	round(some)
	before := measure(t)
	round(10 * some)
	if after := measure(t); after.grew(before) {
		t.Errorf("after %d loads more is in use: %+v, before %+v", 10*some*len(names), after, before)
	}
}

// A module that nobody calls is let go, with its instances and its image, and comes back as it was.
func TestIdleModulesAreLetGo(t *testing.T) {
	cases := map[string]struct {
		wasm    []byte
		request string
		options Options
	}{
		"compiled again":       {fixture(t, "start_changes_state"), "", Options{}},
		"back from the cache":  {goModule, string(goRequest), Options{CacheDir: t.TempDir()}},
		"with fresh instances": {fixture(t, "state_table_grow"), "", Options{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { letGo(t, c.wasm, c.request, c.options) })
	}
}

func letGo(t *testing.T, wasm []byte, request string, options Options) {
	t.Helper()
	options.IdleTimeout = time.Millisecond
	m := load(t, newRuntime(t, options), wasm, Limits{})
	first, result := callFor(t, m, request)
	for range 3 {
		for loaded := true; loaded; time.Sleep(time.Millisecond) {
			m.program.mu.Lock()
			loaded = m.program.loaded
			m.program.mu.Unlock()
		}
		again, same := callFor(t, m, request)
		if fmt.Sprint(first, *result) != fmt.Sprint(again, *same) {
			t.Errorf("another call gets %+v, %+v, the first got %+v, %+v", again, same, first, result)
		}
	}
	if tier := m.Tier(); tier != Reactor {
		t.Errorf("tier %s, want %s", tier, Reactor)
	}
}
