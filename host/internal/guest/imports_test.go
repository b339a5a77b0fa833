package guest

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// hostImports are those that the fixture any_import calls by number, in its order, and how many arguments they have.
var hostImports = []struct {
	name string
	args int
}{
	{"request_len", 0},
	{"request_read", 3},
	{"response_write", 2},
	{"error", 2},
	{"log", 3},
	{"args_get", 2},
	{"args_sizes_get", 2},
	{"clock_res_get", 2},
	{"clock_time_get", 3},
	{"environ_get", 2},
	{"environ_sizes_get", 2},
	{"fd_advise", 4},
	{"fd_allocate", 3},
	{"fd_close", 1},
	{"fd_datasync", 1},
	{"fd_fdstat_get", 2},
	{"fd_fdstat_set_flags", 2},
	{"fd_fdstat_set_rights", 3},
	{"fd_filestat_get", 2},
	{"fd_filestat_set_size", 2},
	{"fd_filestat_set_times", 4},
	{"fd_pread", 5},
	{"fd_prestat_dir_name", 3},
	{"fd_prestat_get", 2},
	{"fd_pwrite", 5},
	{"fd_read", 4},
	{"fd_readdir", 5},
	{"fd_renumber", 2},
	{"fd_seek", 4},
	{"fd_sync", 1},
	{"fd_tell", 2},
	{"fd_write", 4},
	{"path_create_directory", 3},
	{"path_filestat_get", 5},
	{"path_filestat_set_times", 7},
	{"path_link", 7},
	{"path_open", 9},
	{"path_readlink", 6},
	{"path_remove_directory", 3},
	{"path_rename", 6},
	{"path_symlink", 5},
	{"path_unlink_file", 3},
	{"poll_oneoff", 4},
	{"proc_exit", 1},
	{"proc_raise", 1},
	{"random_get", 2},
	{"sched_yield", 0},
	{"sock_accept", 3},
	{"sock_recv", 6},
	{"sock_send", 5},
	{"sock_shutdown", 2},
}

// importRequest asks the fixture any_import to call an import.
func importRequest(name string, args ...uint64) string {
	for number, f := range hostImports {
		if f.name != name {
			continue
		}
		request := []byte{byte(number)}
		for _, arg := range args {
			request = binary.LittleEndian.AppendUint64(request, arg)
		}
		return string(request)
	}
	panic("no import " + name)
}

func errno(n byte) outcome { return outcome{Response: string([]byte{n, 0, 0, 0})} }

// Each import gets arguments that are as wrong as can be, in all combinations: it may refuse, and end the call as a
// trap, but never harm the host.
func TestImportsTakeAnyArguments(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "any_import"), tight)
	values := []uint64{0, 1, 65535, 65536, math.MaxInt32, math.MaxUint32 - 7, math.MaxUint32}
	for _, f := range hostImports {
		t.Run(f.name, func(t *testing.T) {
			args := make([]uint64, f.args)
			for n := range min(pow(len(values), f.args), 2500) { // of those with many arguments the first are what matters
				for i := range args {
					args[i] = values[n%len(values)]
					n /= len(values)
				}
				got, _ := callFor(t, m, importRequest(f.name, args...))
				if got.Other != "" || strings.Contains(got.Trap, "runtime error") {
					t.Errorf("%x: %+v", args, got)
				}
			}
			expect(t, m, "{ }", "{}")
		})
	}
}

func pow(base, exponent int) int {
	n := 1
	for range exponent {
		n *= base
	}
	return n
}

const out = math.MaxUint32 - 3 // no pointer to anything

// Pointers outside of the memory end a call of wasmloop's functions, as sdk/ABI.md has it, and WASI's return EFAULT.
func TestPointersOutsideOfTheMemory(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "any_import"), tight)
	trap := func(what string) outcome {
		return outcome{Trap: "wasmloop." + what + ", outside of the module's 65536 bytes of memory"}
	}
	fault := errno(errnoFault)
	cases := map[string]struct {
		name string
		args []uint64
		want outcome
	}{
		"request_read":                    {"request_read", []uint64{out, 0, 8}, trap("request_read was given 8 bytes at 0xfffffffc")},
		"request_read past the end":       {"request_read", []uint64{65536, 0, 1}, trap("request_read was given 1 bytes at 0x10000")},
		"request_read of nothing":         {"request_read", []uint64{65536, 0, 0}, errno(0)},
		"request_read from far out":       {"request_read", []uint64{0, out, 8}, errno(0)},
		"response_write":                  {"response_write", []uint64{out, 8}, trap("response_write was given 8 bytes at 0xfffffffc")},
		"response_write of all and more":  {"response_write", []uint64{1, 65536}, trap("response_write was given 65536 bytes at 0x1")},
		"error":                           {"error", []uint64{0, out}, trap("error was given 4294967292 bytes at 0x0")},
		"log":                             {"log", []uint64{0, out, 1}, trap("log was given 1 bytes at 0xfffffffc")},
		"args_get":                        {"args_get", []uint64{out, 0}, fault},
		"args_get buffer":                 {"args_get", []uint64{0, out}, fault},
		"args_sizes_get":                  {"args_sizes_get", []uint64{out, 0}, fault},
		"args_sizes_get size":             {"args_sizes_get", []uint64{0, out}, fault},
		"clock_res_get":                   {"clock_res_get", []uint64{0, out}, fault},
		"clock_res_get of no clock":       {"clock_res_get", []uint64{4, 0}, errno(errnoInval)},
		"clock_time_get":                  {"clock_time_get", []uint64{0, 0, out}, fault},
		"clock_time_get of no clock":      {"clock_time_get", []uint64{4, 0, 0}, errno(errnoInval)},
		"environ_sizes_get":               {"environ_sizes_get", []uint64{out, 0}, fault},
		"environ_sizes_get size":          {"environ_sizes_get", []uint64{0, out}, fault},
		"fd_fdstat_get":                   {"fd_fdstat_get", []uint64{1, out}, fault},
		"fd_fdstat_get of no file":        {"fd_fdstat_get", []uint64{3, 0}, errno(errnoBadf)},
		"fd_filestat_get":                 {"fd_filestat_get", []uint64{1, 65536 - 63}, fault},
		"fd_read list":                    {"fd_read", []uint64{0, out, 1, 0}, fault},
		"fd_read count":                   {"fd_read", []uint64{0, 0, out, out}, fault},
		"fd_write list":                   {"fd_write", []uint64{1, out, 1, 0}, fault},
		"fd_write list without end":       {"fd_write", []uint64{1, 0, math.MaxUint32, 0}, fault},
		"fd_write list that wraps around": {"fd_write", []uint64{1, 65528, 1 << 29, 0}, fault},
		"fd_write written":                {"fd_write", []uint64{1, 0, 0, out}, fault},
		"fd_write to no file":             {"fd_write", []uint64{3, 0, 0, 0}, errno(errnoBadf)},
		"poll_oneoff in":                  {"poll_oneoff", []uint64{out, 0, 1, 0}, fault},
		"poll_oneoff out":                 {"poll_oneoff", []uint64{0, out, 1, 0}, fault},
		"poll_oneoff events":              {"poll_oneoff", []uint64{0, 0, 1, out}, fault},
		"poll_oneoff of nothing":          {"poll_oneoff", []uint64{0, 0, 0, 0}, errno(errnoInval)},
		"poll_oneoff count that wraps":    {"poll_oneoff", []uint64{0, 0, 0x55555556, 0}, fault},
		"random_get":                      {"random_get", []uint64{out, 8}, fault},
		"random_get length":               {"random_get", []uint64{0, out}, fault},
		"path_open":                       {"path_open", []uint64{3, 0, out, out, 0, 0, 0, 0, out}, errno(errnoBadf)},
		"sock_recv":                       {"sock_recv", []uint64{3, out, out, 0, out, out}, errno(errnoNosys)},
		"fd_prestat_get":                  {"fd_prestat_get", []uint64{3, out}, errno(errnoBadf)},
		"fd_seek":                         {"fd_seek", []uint64{1, 0, 0, out}, errno(errnoSpipe)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, _ := callFor(t, m, importRequest(c.name, c.args...))
			got.Lines = nil
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			expect(t, m, "{ }", "{}")
		})
	}
}

// The clocks start at the same instants in every call, and the random stream is the same.
func TestClockAndRandomAreTheSameInEveryCall(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "clock_and_random"), tight)
	first, _ := callFor(t, m, "")
	var clocks [4]time.Duration
	for i := range clocks {
		clocks[i] = time.Duration(binary.LittleEndian.Uint64([]byte(first.Response[8*i:])))
	}
	start := time.Duration(epoch.UnixNano())
	want := [4]time.Duration{start + tick, start + 2*tick, 3 * tick, 4 * tick}
	if diff := cmp.Diff(want, clocks); diff != "" {
		t.Errorf("clocks (-want +got):\n%s", diff)
	}
	for range 3 {
		again, _ := callFor(t, m, "")
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("another call (-first +this):\n%s", diff)
		}
	}
}

// A sleep returns at once, and an event says that it is over.
func TestSleepMovesTheClock(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "sleep"), tight)
	for range 2 {
		got, _ := callFor(t, m, "")
		number := func(at int) uint64 { return binary.LittleEndian.Uint64([]byte(got.Response[at:])) }
		if slept, want := number(8)-number(0), uint64(time.Hour+tick); slept != want {
			t.Errorf("the clock moved on by %d, want %d", slept, want)
		}
		if events, event := number(16), got.Response[24:56]; events != 1 || event != "userdata"+strings.Repeat("\x00", 24) {
			t.Errorf("%d events, the first is %q", events, event)
		}
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "sleep_for_ages"), tight)
	expect(t, m, "", "")
}

// Closing stdout has no effect, in this call or another.
func TestClosingStdioChangesNothing(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "close_stdio"), tight)
	want := outcome{Response: "\x00\x00\x00\x00", Lines: []string{"info: line", "info: line"}}
	for range 3 {
		got, _ := callFor(t, m, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
	}
}

// The bounds on log lines and on their bytes are of one call.
func TestLogLimits(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "log_flood"), Limits{LogBytes: 9})
	want := outcome{Response: "{}", Lines: []string{
		"info: line", "info: line", "warn: more log lines of this call were dropped: it went over its limit",
	}}
	for range 2 {
		got, _ := callFor(t, m, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
	}
	lines := 0
	if _, err := load(t, newRuntime(t, Options{}), fixture(t, "log_flood"), Limits{}).
		Call(t.Context(), nil, func(abi.Level, string) { lines++ }); err != nil || lines != 1001 {
		t.Errorf("%d lines, want 1,001: %v", lines, err)
	}
}
