package guest

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tight are limits that a module reaches soon.
var tight = Limits{Memory: 40 << 20, Fuel: 20_000_000, Timeout: time.Minute, Response: 1 << 10, LogLines: 5, LogBytes: 1 << 10}

// misbehaviours are what the fixtures do when they get an empty request. To any other they respond.
var misbehaviours = map[string]outcome{
	"loop_br":          {Limit: "fuel"},
	"loop_br_if":       {Limit: "fuel"},
	"loop_br_table":    {Limit: "fuel"},
	"loop_nested":      {Limit: "fuel"},
	"loop_outer_label": {Limit: "fuel"},
	"loop_params":      {Limit: "fuel"},
	"loop_dead_code":   {Limit: "fuel"},
	"loop_in_else":     {Limit: "fuel"},
	"loop_of_imports":  {Limit: "fuel"},
	"loop_until_later": {Limit: "fuel"},
	"loop_of_calls":    {Limit: "fuel"},
	"loop_small_calls": {Limit: "fuel"},

	"loop_goto_back":        {Limit: "fuel"},
	"loop_goto_itself":      {Limit: "fuel"},
	"loop_goto_nowhere":     {Limit: "fuel"},
	"loop_goto_computed":    {Limit: "fuel"},
	"loop_goto_conditional": {Limit: "fuel"},
	"loop_goto_from_inner":  {Limit: "fuel"},
	"loop_goto_outer":       {Limit: "fuel"},

	"recursion_exponential": {Limit: "fuel"},
	"recursion_indirect":    {Limit: "fuel"},
	"recursion_small":       {Limit: "fuel"},
	"recursion_deep":        {Limit: "call depth"},
	"recursion_deep_frames": {Limit: "call depth"},

	"bulk_fill":          {Limit: "fuel"},
	"bulk_copy":          {Limit: "fuel"},
	"bulk_init":          {Limit: "fuel"},
	"bulk_fill_too_long": {Limit: "fuel"},
	"bulk_table_fill":    {Limit: "fuel"},
	"bulk_table_copy":    {Limit: "fuel"},
	"bulk_table_init":    {Limit: "fuel"},
	"bulk_table_grow":    {Limit: "fuel"},

	"grow_until_refused":   {Limit: "memory"},
	"grow_by_minus_one":    {Limit: "fuel"},
	"grow_forever":         {Limit: "fuel"},
	"grow_refused_is_fine": {Response: "{}"},
	"grow_nothing_forever": {Limit: "fuel"},
	"huge_memory_later":    {Limit: "fuel"},
	"huge_tables_later":    {Response: "\x40\x42\x0f\x00"}, // 1,000,000

	"response_twice":                {Response: "second"},
	"response_never":                {Failure: "reconcile returned without a response"},
	"response_empty":                {},
	"response_too_large":            {Limit: "response"},
	"response_too_large_then_small": {Response: "{}"},
	"response_invalid_utf8":         {Response: "\xff\xc0\x80\xed"},
	"response_changed_later":        {Response: "first"},
	"error_then_zero":               {Failure: "no such x"},
	"error_terminal":                {Failure: "no such x", Terminal: true},
	"error_huge":                    {Failure: strings.Repeat("a", 8<<10)},
	"error_invalid_utf8":            {Failure: "a\uFFFDb"},
	"status_without_reason":         {Failure: "reconcile returned 7 and gave no reason"},
	"exit_zero":                     {Trap: "module closed with exit_code(0)"},
	"exit_three":                    {Trap: "module closed with exit_code(3)", Output: "sorry", Lines: []string{"warn: sorry"}},
	"trap_unreachable":              {Trap: "wasm error: unreachable"},
	"trap_after_response":           {Trap: "wasm error: unreachable"},
	"trap_divide":                   {Trap: "wasm error: integer divide by zero"},
	"trap_memory":                   {Trap: "wasm error: out of bounds memory access"},
	"trap_indirect":                 {Trap: "wasm error: invalid table access"},
	"trap_signature":                {Trap: "wasm error: indirect call type mismatch"},
	"trap_named_stack_overflow":     {Trap: "wasm error: unreachable"},

	"log_flood": {Response: "{}", Lines: append(slices.Repeat([]string{"info: line"}, 5),
		"warn: more log lines of this call were dropped: it went over its limit")},
	"log_huge_line":    {Response: "{}", Lines: []string{"warn: more log lines of this call were dropped: it went over its limit"}},
	"log_invalid_utf8": {Response: "{}", Lines: []string{"info: a\uFFFDb"}},
	"stdout_flood":     {Response: "{}", Lines: []string{"info: {}"}},
	"stdout_flood_of_lines": {Response: "{}", Lines: append(slices.Repeat([]string{"info: a"}, 5),
		"warn: more log lines of this call were dropped: it went over its limit")},
	"stdout_without_end_of_line": {Response: "{}", Lines: []string{
		"warn: more log lines of this call were dropped: it went over its limit",
	}},

	"export_collision": {Limit: "fuel"},

	"command_loop":       {Limit: "fuel"},
	"command_trap":       {Trap: "wasm error: unreachable"},
	"command_exit_zero":  {Response: "{}"},
	"command_exit_three": {Trap: "module closed with exit_code(3)", Output: "sorry", Lines: []string{"warn: sorry"}},
	"command_too_large":  {Limit: "fuel"},
	"command_large":      {Limit: "response"},
}

// Whatever a module does, the call ends with an error that says what it was, and harms no other call: not of the same
// module, and not of another.
func TestMisbehaviourIsContained(t *testing.T) {
	r := newRuntime(t, Options{})
	other := load(t, r, fixture(t, "answers"), tight)
	for name, want := range misbehaviours {
		t.Run(name, func(t *testing.T) {
			m := load(t, r, fixture(t, name), tight)
			for range 2 {
				got, _ := callFor(t, m, "")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("outcome (-want +got):\n%s", diff)
				}
				if m.Tier() == Reactor {
					expect(t, m, "{ }", "{}")
				}
				expect(t, other, "hello", "hello")
			}
		})
	}
}

// expect calls a module that is to respond.
func expect(t testing.TB, m *Module, request, response string) *Result {
	t.Helper()
	got, result := callFor(t, m, request)
	if diff := cmp.Diff(outcome{Response: response}, got); diff != "" {
		t.Fatalf("outcome (-want +got):\n%s", diff)
	}
	return result
}

// unloadable are modules that are refused when they are loaded, and why.
var unloadable = map[string]outcome{
	"start_loop": {Load: "it cannot be started", Limit: "fuel"},
	"start_trap": {
		Load: "it cannot be started",
		Trap: `start function[1] export["wasmloop_abi_version"] failed: wasm error: unreachable`,
	},
	"start_grow":      {Load: "it cannot be started", Limit: "memory"},
	"initialize_loop": {Load: "it cannot be started", Limit: "fuel"},
	"initialize_exit": {Load: "it cannot be started", Trap: "module closed with exit_code(0)"},

	"huge_memory": {Load: "it starts with 4096 MiB of memory, and the limit is 40 MiB"},
	"huge_table": {
		Load:  "it is not a WebAssembly module that can be metered",
		Other: "tables of 4294967295 elements are over the limit of 1000000 at offset 0x1e",
	},
	"huge_tables": {
		Load:  "it is not a WebAssembly module that can be metered",
		Other: "tables of 2000000 elements are over the limit of 1000000 at offset 0x22",
	},

	"mixed_tiers": {Load: "it is a WASI command, which reads its request from stdin and writes its response to stdout, " +
		"but imports wasmloop.response_write, which is for reactors: export reconcile, or do without"},
	"export_reconcile_is_global": {Load: "it exports neither reconcile (a reactor) nor _start (a WASI command)"},
	"export_reconcile_takes_one": {Load: "reconcile and wasmloop_abi_version must take nothing and return an i32"},
	"export_initialize_returns":  {Load: "_initialize must take nothing and return nothing"},
	"export_memory_is_table":     {Load: "it does not export its memory as memory"},
	"export_nothing":             {Load: "it exports neither reconcile (a reactor) nor _start (a WASI command)"},
	"memory_missing":             {Load: "it does not export its memory as memory"},
	"memory_not_exported":        {Load: "it does not export its memory as memory"},
	"both_tiers": {Load: "it exports both reconcile (a reactor) and _start (a command): " +
		"build a reactor as a library, in Go with -buildmode=c-shared"},
	"version_missing": {Load: "it exports reconcile but not wasmloop_abi_version"},
	"version_two":     {Load: "it speaks version 2 of the ABI, and this host version 1"},
	"version_traps":   {Load: "it cannot say which ABI it speaks", Trap: "wasm error: unreachable"},

	"import_unknown_function": {Load: `it imports what the host does not offer: ["wasmloop.delete_cluster"]`},
	"import_unknown_module":   {Load: `it imports what the host does not offer: ["env.abort"]`},
	"import_wrong_type": {Load: `it imports what the host does not offer: ` +
		`["wasi_snapshot_preview1.fd_close as (i64) -> (i32), which is (i32) -> (i32)"]`},
	"import_tick":        {Load: `it imports what the host does not offer: ["wasmloop_meter.tick"]`},
	"import_tick_module": {Load: `it imports what the host does not offer: ["wasmloop_meter.tock"]`},
	"import_table":       {Load: `it imports what the host does not offer: ["env.table"]`},
	"import_global":      {Load: `it imports what the host does not offer: ["env.global"]`},
	"import_memory":      {Load: `it imports what the host does not offer: ["env.memory"]`},
}

// A module that cannot be run is refused when it is loaded, not when it is called, and leaves nothing behind.
func TestLoadRefuses(t *testing.T) {
	r := newRuntime(t, Options{})
	other := load(t, r, fixture(t, "answers"), tight)
	check := func(name string, want outcome) {
		t.Run(name, func(t *testing.T) {
			m, err := r.Load(t.Context(), fixture(t, name), tight, Hermetic)
			if diff := cmp.Diff(want, outcomeOf(err)); m != nil || diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			expect(t, other, "hello", "hello")
		})
	}
	for name, want := range unloadable {
		check(name, want)
		if strings.HasPrefix(name, "import_") {
			check("command_"+name, want)
		}
	}
	if got := len(r.programs); got != 1 {
		t.Errorf("%d programs are loaded, want 1", got)
	}
}

// Each fixture is part of a test.
func TestFixturesAreUsed(t *testing.T) {
	names, err := filepath.Glob("testdata/*.wat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = strings.TrimSuffix(filepath.Base(name), ".wat")
		_, misbehaves := misbehaviours[name]
		_, refused := unloadable[strings.TrimPrefix(name, "command_")]
		_, keeps := states[name]
		if !misbehaves && !refused && !keeps && !slices.Contains(used, name) {
			t.Errorf("testdata/%s.wat is part of no test", name)
		}
	}
}

// used are fixtures that have a test of their own.
var used = []string{
	"answers", "any_import", "bulk_by_length", "clock_and_random", "close_stdio", "command_answers", "grown_memory_is_gone",
	"loop_always", "memory_empty", "recursion_returns", "sleep", "sleep_for_ages", "start_changes_state",
}

// Deep recursion ends as an error while many do it at once, and the host has its memory back.
func TestDeepRecursionAtOnce(t *testing.T) {
	r := newRuntime(t, Options{ConcurrentCalls: 4})
	m := load(t, r, fixture(t, "recursion_deep"), tight)
	other := load(t, r, fixture(t, "answers"), tight)
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for range 5 {
				if got, _ := callFor(t, m, ""); got.Limit != "call depth" {
					t.Errorf("outcome %+v, want the limit of call depth", got)
				}
				if got, _ := callFor(t, other, "hello"); got.Response != "hello" {
					t.Errorf("outcome %+v, want hello", got)
				}
			}
		})
	}
	calls.Wait()
}

// Bulk operations cost what they are long.
func TestBulkOperationsArePaidByLength(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "bulk_by_length"), tight)
	fuel := func(kib int) uint64 {
		return expect(t, m, strings.Repeat("x", kib), "").Fuel
	}
	for _, kib := range []int{1, 2, 100, 1000} {
		if got, want := fuel(kib)-fuel(0), uint64(kib)*1024/16; got != want {
			t.Errorf("%d KiB cost %d more than nothing, want %d", kib, got, want)
		}
	}
}

// What a start function and _initialize do is part of the state that each call starts from.
func TestStartIsPartOfTheState(t *testing.T) {
	for mode := range modes {
		m := load(t, newRuntime(t, Options{restore: mode}), fixture(t, "start_changes_state"), tight)
		for range 3 {
			expect(t, m, "", "23")
		}
	}
}

// A module that cannot serve the warm-up request is called as it was before.
func TestWarmUpMayFail(t *testing.T) {
	for mode := range modes {
		r := newRuntime(t, Options{restore: mode})
		m := load(t, r, fixture(t, "loop_always"), tight)
		for range 2 {
			if got, _ := callFor(t, m, ""); got.Limit != "fuel" {
				t.Errorf("outcome %+v, want the limit of fuel", got)
			}
		}
	}
}

func TestEmptyMemory(t *testing.T) {
	for mode := range modes {
		for _, limits := range []Limits{tight, {Memory: 1}} {
			m := load(t, newRuntime(t, Options{restore: mode}), fixture(t, "memory_empty"), limits)
			for range 2 {
				expect(t, m, "", "")
			}
		}
	}
}

func TestCommandAnswers(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "command_answers"), Limits{})
	request := strings.Repeat("0123456789", 20_000)
	first := expect(t, m, request, request)
	if again := expect(t, m, request, request); again.Fuel != first.Fuel {
		t.Errorf("fuel %d and %d for the same request", first.Fuel, again.Fuel)
	}
}

func TestRequestLimit(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "answers"), Limits{Request: 3})
	expect(t, m, "abc", "abc")
	if got, _ := callFor(t, m, "abcd"); got.Limit != "request" {
		t.Errorf("outcome %+v, want the limit of requests", got)
	}
}

func TestTimeout(t *testing.T) {
	r := newRuntime(t, Options{})
	for _, name := range []string{"loop_br", "loop_of_imports", "recursion_exponential", "bulk_fill", "command_loop"} {
		m := load(t, r, fixture(t, name), Limits{Timeout: 20 * time.Millisecond, Fuel: 1 << 60})
		if got, _ := callFor(t, m, ""); got.Limit != "timeout" {
			t.Errorf("%s: outcome %+v, want the limit of time", name, got)
		}
	}
}

func TestModuleSizeLimits(t *testing.T) {
	wasm := fixture(t, "answers")
	cases := map[string]struct {
		options Options
		want    outcome
	}{
		"bytes": {Options{MaxModule: 100}, outcome{Load: "it has 243 bytes, and the limit is 100 bytes"}},
		"functions": {Options{MaxFunctions: 3}, outcome{
			Load:  "it is not a WebAssembly module that can be metered",
			Other: "4 functions are more than the limit of 3 at offset 0x0",
		}},
		"bytes of a function": {Options{MaxFunctionSize: 10}, outcome{
			Load:  "it is not a WebAssembly module that can be metered",
			Other: "function 3 has 18 bytes, which is more than the limit of 10 at offset 0x92",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := newRuntime(t, c.options).Load(t.Context(), wasm, Limits{}, Hermetic)
			if diff := cmp.Diff(c.want, outcomeOf(err)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}
