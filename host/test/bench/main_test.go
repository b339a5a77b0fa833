package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// childVariable names the measurement that a process is started for.
const childVariable = "WASMLOOP_BENCH_CHILD"

// children are the measurements that need a process of their own.
var children = map[string]func(ctx context.Context) (any, error){
	"instances":   measureInstances,
	"controllers": measureControllers,
	"growth":      measureGrowth,
}

func TestMain(m *testing.M) {
	measure, isChild := children[os.Getenv(childVariable)]
	if !isChild {
		os.Exit(m.Run())
	}
	result, err := measure(context.Background())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// inChild runs a measurement in a process of its own.
func inChild[T any](b *testing.B, name string) (result T) {
	b.Helper()
	command := exec.CommandContext(b.Context(), os.Args[0])
	command.Env = append(os.Environ(), childVariable+"="+name)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil {
		b.Fatalf("cannot measure %s: %v\n%s", name, err, stderr.String())
	}
	return result
}

func file(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := guesttest.File(name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func silent(abi.Level, string) {}

// newRuntime returns a runtime that lasts as long as the benchmark.
func newRuntime(tb testing.TB, options guest.Options) *guest.Runtime {
	tb.Helper()
	r, err := guest.NewRuntime(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func load(tb testing.TB, r *guest.Runtime, name string) *guest.Module {
	tb.Helper()
	m, err := r.Load(tb.Context(), file(tb, name), guest.Limits{}, guest.Hermetic)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return m
}

// status returns a number of KiB or items from a file of /proc.
func status(file, field string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			var n int
			_, err := fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, field)
}
