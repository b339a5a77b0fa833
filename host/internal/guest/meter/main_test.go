package meter

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// wasmOf returns a module of sections.
func wasmOf(sections ...[]byte) []byte {
	return slices.Concat(append([][]byte{[]byte("\x00asm\x01\x00\x00\x00")}, sections...)...)
}

// vector returns a section that is a vector.
func vector(id byte, items ...string) []byte {
	content := appendU32(nil, uint32(len(items)))
	for _, item := range items {
		content = append(content, item...)
	}
	return appendSection(nil, id, content)
}

// bodyOf returns a function body without locals, without its end.
func bodyOf(code string) string {
	return string(appendName(nil, "\x00"+code+"\x0b"))
}

// oneFunction returns a module with one function, () -> (), and other sections of types, imports, and so on: those
// before the code come first.
func oneFunction(code string, others ...[]byte) []byte {
	sections := append([][]byte{
		vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionCode, bodyOf(code)),
	}, others...)
	slices.SortStableFunc(sections, func(a, b []byte) int { return place(a[0]) - place(b[0]) })
	return wasmOf(sections...)
}

func place(id byte) int {
	for i, section := range sectionOrder {
		if section.id == id {
			return i
		}
	}
	return len(sectionOrder)
}

// bench runs modules with wazero, metered ones with a bound on their fuel.
type bench struct {
	runtime wazero.Runtime
	// fuel is what the next start and each call may use.
	fuel int64
}

var errFuel = errors.New("out of fuel")

// pages bounds the memory of each module.
const pages = 64

func newBench(t testing.TB) *bench {
	t.Helper()
	ctx := t.Context()
	b := &bench{runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(pages))}
	t.Cleanup(func() { _ = b.runtime.Close(context.WithoutCancel(ctx)) })
	_, err := b.runtime.NewHostModuleBuilder(TickModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			b.fuel += int64(stack[0]) // which is negative
			if b.fuel < 0 {
				panic(errFuel)
			}
			stack[0] = 0
		}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(TickName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compiles says whether the engine takes a module.
func (b *bench) compiles(ctx context.Context, wasm []byte) error {
	compiled, err := b.runtime.CompileModule(ctx, wasm)
	if err != nil {
		return err
	}
	return compiled.Close(ctx)
}

// start makes an instance of a module.
func (b *bench) start(ctx context.Context, wasm []byte, fuel int64) (api.Module, error) {
	b.fuel = fuel
	return b.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
}

// call calls a function and returns its results.
func (b *bench) call(ctx context.Context, function api.Function, fuel int64, args ...uint64) ([]uint64, error) {
	b.fuel = fuel
	return function.Call(ctx, args...)
}

// mustRewrite returns a rewritten module that the engine takes.
func mustRewrite(t *testing.T, wasm []byte) *Result {
	t.Helper()
	result, err := Rewrite(wasm, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := newBench(t).compiles(t.Context(), result.Wasm); err != nil {
		t.Fatalf("the rewritten module is not valid: %v", err)
	}
	return result
}
