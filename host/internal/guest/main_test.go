package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// calls is how often the tests of growth call each module.
var calls = flag.Int("calls", 2000, "how often to call each module where nothing must grow")

// goModule is modules/markdownview, built by TestMain.
var goModule []byte

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if os.Getenv(childEnv)+os.Getenv(cacheEnv) != "" { // a process that a test started: it has its module given
			return m.Run()
		}
		wasm, err := buildGoModule()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		goModule = wasm
		return m.Run()
	}())
}

func buildGoModule() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "markdownview.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags", "-s -w", "-o", out,
		"github.com/wasmloop/wasmloop/modules/markdownview")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build a module: %w\n%s", err, output)
	}
	return os.ReadFile(out)
}

// goRequest is one that the Go module has much to do for.
var goRequest = []byte(`{"controller":"markdownview","object":{"apiVersion":"view.example.com/v1","kind":"MarkdownView",` +
	`"metadata":{"name":"a","namespace":"default","uid":"0d1c2b3a-0000-0000-0000-000000000001","generation":1},` +
	`"spec":{"markdowns":{"SUMMARY.md":"# Summary","page.md":"# A page"},"replicas":1,"viewerImage":"example.com/viewer:1"}},` +
	`"children":{"ConfigMap.v1":{},"Deployment.apps/v1":{},"Service.v1":{}},"related":{},"finalizing":false,"settings":{}}`)

// fixture returns testdata/NAME.wasm.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// newRuntime returns a Runtime that lives as long as the test.
func newRuntime(t testing.TB, options Options) *Runtime {
	t.Helper()
	r, err := NewRuntime(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return r
}

// load loads a module that can be loaded. It stays until the Runtime is closed.
func load(t testing.TB, r *Runtime, wasm []byte, limits Limits) *Module {
	t.Helper()
	m, err := r.Load(t.Context(), wasm, limits, Hermetic)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noLog(abi.Level, string) {}

// outcome is all that a call comes to, in a form that can be compared. Of the errors just the field of its type is set.
type outcome struct {
	Response string
	Limit    string // LimitError.Limit
	Trap     string // the first line of TrapError.Cause
	Output   string // TrapError.Output
	Failure  string // ModuleError.Message
	Terminal bool   // ModuleError.IsTerminal
	Load     string // LoadError.Reason
	Other    string // any other error
	Lines    []string
}

// callFor calls a module and returns all that it came to.
func callFor(t testing.TB, m *Module, request string) (outcome, *Result) {
	t.Helper()
	var lines []string
	result, err := m.Call(t.Context(), []byte(request), func(level abi.Level, line string) {
		lines = append(lines, level.String()+": "+line)
	})
	o := outcomeOf(err)
	o.Response, o.Lines = string(result.Response), lines
	return o, result
}

func outcomeOf(err error) outcome {
	var limit *LimitError
	var trap *TrapError
	var failure *ModuleError
	var load *LoadError
	switch {
	case err == nil:
		return outcome{}
	case errors.As(err, &load):
		o := outcomeOf(load.Cause)
		o.Load = load.Reason
		return o
	case errors.As(err, &limit):
		return outcome{Limit: limit.Limit}
	case errors.As(err, &trap):
		cause, _, _ := strings.Cut(trap.Cause.Error(), "\n")
		return outcome{Trap: strings.TrimSuffix(cause, " (recovered by wazero)"), Output: trap.Output}
	case errors.As(err, &failure):
		return outcome{Failure: failure.Message, Terminal: failure.IsTerminal}
	default:
		return outcome{Other: err.Error()}
	}
}
