package meter

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// FuzzMeter rewrites arbitrary bytes. It never panics; what the engine takes before it takes after; what it refuses is
// refused, before or after; and what runs does the same.
func FuzzMeter(f *testing.F) {
	for folder, pattern := range map[string]string{"../testdata": "*.wasm", specFolder(f): "*.0.wasm"} {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(paths) < 50 {
			f.Fatalf("%d modules in %s: %v", len(paths), folder, err)
		}
		for _, path := range paths {
			wasm, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if len(wasm) < 4<<10 { // larger ones are mutated to little effect
				f.Add(wasm)
			}
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 64<<10 {
			return
		}
		wasm = withoutCustomSections(wasm) // the engine takes names seriously, and the rewriting leaves bad ones out
		result, err := Rewrite(wasm, Options{MaxTable: 100_000, MaxFunctions: 10_000})
		if declaresMuch(wasm) || err != nil && strings.Contains(err.Error(), "limit of") {
			return
		}
		if err != nil && hasLargeNumber(wasm) {
			return
		}
		if err != nil && strings.Contains(err.Error(), "table element type") {
			return // the engine takes an imported table of any type
		}
		b := newBench(t)
		plainErr := b.compiles(t.Context(), wasm)
		if err != nil {
			if plainErr == nil {
				t.Fatalf("a valid module is refused: %v", err)
			}
			return
		}
		rewrittenErr := b.compiles(t.Context(), result.Wasm)
		if (plainErr == nil) != (rewrittenErr == nil) {
			t.Fatalf("before: %v, after: %v", plainErr, rewrittenErr)
		}
		if plainErr == nil {
			compareRuns(t, b, wasm, result.Wasm)
		}
	})
}

// withoutCustomSections returns a module without them, or whatever it is given if it is none.
func withoutCustomSections(wasm []byte) []byte {
	out := slices.Clone(wasm[:min(8, len(wasm))])
	for rest := wasm[len(out):]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
			return wasm
		}
		end := 1 + n + int(size)
		if rest[0] != sectionCustom {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out
}

// declaresMuch says whether a module makes the engine take much memory, which is of no use here.
func declaresMuch(wasm []byte) (much bool) {
	defer func() {
		if recover() != nil {
			much = false // no module: it will be refused
		}
	}()
	m := parse(wasm, Options{MaxTable: 100_000, MaxFunctions: 10_000})
	return m.memory > pages
}

// hasLargeNumber says whether anything in a module could be read as a large number. The engine makes room for as many items
// as a module claims to have, before it looks whether they are there; it is never asked to in a module that is refused.
func hasLargeNumber(wasm []byte) bool {
	for at := range wasm {
		if n, _ := binary.Uvarint(wasm[at:]); n > 1<<16 {
			return true
		}
	}
	return false
}

// compareRuns calls all exported functions without parameters in a module as it was and rewritten.
func compareRuns(t *testing.T, b *bench, plainWasm, rewrittenWasm []byte) {
	t.Helper()
	const enough = 20_000
	ctx := t.Context()
	rewritten, rewrittenErr := b.start(ctx, rewrittenWasm, enough)
	if tooMuch(rewrittenErr) {
		return // the plain one might go on for ever
	}
	plain, plainErr := b.start(ctx, plainWasm, 0)
	if (plainErr == nil) != (rewrittenErr == nil) {
		t.Fatalf("started: %v, rewritten: %v", plainErr, rewrittenErr)
	}
	if plainErr != nil {
		return
	}
	defer func() { _, _ = plain.Close(context.WithoutCancel(ctx)), rewritten.Close(context.WithoutCancel(ctx)) }()
	definitions := plain.ExportedFunctionDefinitions()
	names := make([]string, 0, len(definitions))
	for name, definition := range definitions {
		if len(definition.ParamTypes()) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		got, gotErr := b.call(ctx, rewritten.ExportedFunction(name), enough)
		if tooMuch(gotErr) {
			return
		}
		want, wantErr := b.call(ctx, plain.ExportedFunction(name), 0)
		compare(t, name, definitions[name].ResultTypes(), want, got, wantErr, gotErr)
	}
	for name := range plain.ExportedMemoryDefinitions() {
		compareMemories(t, plain.ExportedMemory(name), rewritten.ExportedMemory(name))
	}
}

func compareMemories(t *testing.T, plain, rewritten api.Memory) {
	t.Helper()
	want, _ := plain.Read(0, plain.Size())
	got, _ := rewritten.Read(0, rewritten.Size())
	if !slices.Equal(want, got) {
		t.Error("the memories differ")
	}
}

// tooMuch says whether a run ended for want of fuel, or of stack, of which rewritten functions take more.
func tooMuch(err error) bool {
	return reason(err) == errFuel.Error() || strings.Contains(reason(err), "stack overflow")
}
