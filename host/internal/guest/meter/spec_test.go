package meter

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// specFolder returns the folder of the WebAssembly specification's test suite, version 2.0, which is part of the engine's
// source.
func specFolder(t testing.TB) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest", "v2", "testdata")
}

// command is one of a script of the test suite.
type command struct {
	Type, Name, As, Filename string
	Action                   struct {
		Type, Module, Field string
		Args                []struct{ Type string }
	}
	ModuleType string `json:"module_type"`
}

// The modules of the specification's test suite are valid and invalid as they were, and those that import nothing do the
// same, rewritten and not, in each call that the suite makes.
func TestSpecificationSuite(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(specFolder(t), "*.json"))
	if err != nil || len(scripts) < 100 {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	var calls atomic.Int64
	t.Cleanup(func() {
		if n := calls.Load(); n < 20_000 {
			t.Errorf("only %d calls were compared", n)
		}
	})
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			var suite struct{ Commands []json.RawMessage }
			if err := json.Unmarshal(data, &suite); err != nil {
				t.Fatal(err)
			}
			p := &pair{t: t, bench: newBench(t), calls: &calls}
			for _, raw := range suite.Commands {
				p.follow(filepath.Dir(script), raw)
			}
		})
	}
}

// pair is a module as it was and rewritten.
type pair struct {
	t                *testing.T
	bench            *bench
	plain, rewritten api.Module
	calls            *atomic.Int64
}

// follow does with both modules what a command says.
func (p *pair) follow(dir string, raw json.RawMessage) {
	var c command
	if err := json.Unmarshal(raw, &c); err != nil {
		return // a form of command that has no module and no call
	}
	switch c.Type {
	case "module", "assert_uninstantiable":
		wasm, err := os.ReadFile(filepath.Join(dir, c.Filename))
		if err != nil {
			p.t.Fatal(err)
		}
		p.load(c.Filename, wasm)
	case "assert_invalid", "assert_malformed":
		if c.ModuleType != "binary" {
			return
		}
		wasm, err := os.ReadFile(filepath.Join(dir, c.Filename))
		if err != nil {
			p.t.Fatal(err)
		}
		p.refuse(c.Filename, wasm)
	case "assert_return", "assert_trap", "action", "assert_exhaustion":
		p.call(c, raw)
	}
}

// refuse checks that a module that is not valid is not made valid.
func (p *pair) refuse(name string, wasm []byte) {
	result, err := Rewrite(wasm, Options{})
	if err != nil || p.bench.compiles(p.t.Context(), result.Wasm) != nil {
		return
	}
	if p.bench.compiles(p.t.Context(), wasm) != nil {
		p.t.Errorf("%s is not valid, and is so when it is rewritten", name)
	}
}

func (p *pair) load(name string, wasm []byte) {
	ctx := p.t.Context()
	p.plain, p.rewritten = nil, nil
	if err := p.bench.compiles(ctx, wasm); err != nil {
		return // the engine's own limits
	}
	result, err := Rewrite(wasm, Options{MaxTable: 1 << 26})
	if err != nil {
		p.t.Errorf("%s is refused: %v", name, err)
		return
	}
	if err := p.bench.compiles(ctx, result.Wasm); err != nil {
		p.t.Errorf("%s is not valid after it was rewritten: %v", name, err)
		return
	}
	const enough = 1 << 40
	plain, plainErr := p.bench.start(ctx, wasm, 0)
	rewritten, rewrittenErr := p.bench.start(ctx, result.Wasm, enough)
	if plainErr == nil != (rewrittenErr == nil) {
		p.t.Errorf("%s starts otherwise: %v, rewritten: %v", name, plainErr, rewrittenErr)
		return
	}
	p.plain, p.rewritten = plain, rewritten
}

// call calls an exported function of both.
func (p *pair) call(c command, raw json.RawMessage) {
	if p.plain == nil || c.Action.Module != "" || c.Action.Type != "invoke" {
		return
	}
	f, g := p.plain.ExportedFunction(c.Action.Field), p.rewritten.ExportedFunction(c.Action.Field)
	if f == nil || g == nil {
		if f != nil || g != nil {
			p.t.Errorf("%s is exported by one of both", c.Action.Field)
		}
		return
	}
	args, ok := arguments(raw)
	if !ok {
		return
	}
	want, wantErr := p.bench.call(p.t.Context(), f, 0, args...)
	const enough = 1 << 40
	got, gotErr := p.bench.call(p.t.Context(), g, enough, args...)
	p.calls.Add(1)
	compare(p.t, c.Action.Field, f.Definition().ResultTypes(), want, got, wantErr, gotErr)
}

// compare fails unless two calls came to the same.
func compare(t testing.TB, name string, types []api.ValueType, want, got []uint64, wantErr, gotErr error) {
	t.Helper()
	if reason(wantErr) != reason(gotErr) {
		t.Errorf("%s ends with %v, rewritten with %v", name, wantErr, gotErr)
		return
	}
	if slices.ContainsFunc(types, func(t api.ValueType) bool { return t == typeFuncref || t == typeExternref }) {
		return // addresses
	}
	if !slices.Equal(want, got) {
		t.Errorf("%s returns %x, rewritten %x", name, want, got)
	}
}

// reason returns what an error says above the stack.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if errors.Is(err, errFuel) {
		return errFuel.Error()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// arguments returns those of a call as the engine takes them.
func arguments(raw json.RawMessage) (args []uint64, ok bool) {
	var c struct {
		Action struct {
			Args []struct {
				Type, LaneType string
				Value          any
			}
		}
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, false
	}
	for _, arg := range c.Action.Args {
		text, isText := arg.Value.(string)
		switch {
		case arg.Type == "v128":
			lanes, isList := arg.Value.([]any)
			low, high, ok := vectorValue(arg.LaneType, lanes)
			if !isList || !ok {
				return nil, false
			}
			args = append(args, low, high)
		case isText && text == "null":
			args = append(args, 0)
		case isText:
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return nil, false
			}
			if arg.Type == "externref" {
				n++ // null is 0
			}
			args = append(args, n)
		default:
			return nil, false
		}
	}
	return args, true
}

// vectorValue puts lanes together.
func vectorValue(laneType string, lanes []any) (low, high uint64, ok bool) {
	if len(lanes) == 0 || 128%len(lanes) != 0 {
		return 0, 0, false
	}
	width := 128 / len(lanes)
	var halves [2]uint64
	for i, lane := range lanes {
		text, isText := lane.(string)
		n, err := strconv.ParseUint(text, 10, 64)
		if !isText || err != nil {
			return 0, 0, false
		}
		at := i * width
		halves[at/64] |= n << (at % 64)
	}
	return halves[0], halves[1], laneType != ""
}
