// Package guesttest runs modules with nothing but wazero: what package guest is compared with.
package guesttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Options say how modules are run. The zero value: as they are, and nothing can interrupt them.
type Options struct {
	// Metered rewrites modules. Their fuel never ends.
	Metered bool
	// CloseOnContextDone lets wazero interrupt them, in its own way.
	CloseOnContextDone bool
}

// Module is a compiled module in a runtime of its own.
type Module struct {
	options  Options
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// refill is the fuel that a metered module goes on with: what package guest gives at a time.
const refill = 100_000

// Compile compiles a module.
func Compile(ctx context.Context, wasm []byte, options Options) (m *Module, err error) {
	if options.Metered {
		rewritten, err := meter.Rewrite(wasm, meter.Options{})
		if err != nil {
			return nil, err
		}
		wasm = rewritten.Wasm
	}
	config := wazero.NewRuntimeConfig().WithCloseOnContextDone(options.CloseOnContextDone)
	m = &Module{options: options, runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close(ctx))
		}
	}()
	if err := m.offer(ctx); err != nil {
		return nil, err
	}
	m.compiled, err = m.runtime.CompileModule(ctx, wasm)
	return m, err
}

// Close lets the module and its instances go.
func (m *Module) Close(ctx context.Context) error { return m.runtime.Close(ctx) }

// exchange is what one call reads and writes.
type exchange struct{ request, response, failure []byte }

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// offer offers the least that modules need.
func (m *Module) offer(ctx context.Context) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, m.runtime); err != nil {
		return err
	}
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	host := m.runtime.NewHostModuleBuilder(abi.ImportModule)
	export := func(name string, f api.GoModuleFunc, params, results []api.ValueType) {
		host.NewFunctionBuilder().WithGoModuleFunction(f, params, results).Export(name)
	}
	export(abi.ImportRequestLen, func(ctx context.Context, _ api.Module, stack []uint64) {
		stack[0] = uint64(len(exchangeOf(ctx).request))
	}, nil, []api.ValueType{i32})
	export(abi.ImportRequestRead, func(ctx context.Context, module api.Module, stack []uint64) {
		part := exchangeOf(ctx).request[uint32(stack[1]):]
		part = part[:min(len(part), int(uint32(stack[2])))]
		module.Memory().Write(uint32(stack[0]), part)
		stack[0] = uint64(len(part))
	}, []api.ValueType{i32, i32, i32}, []api.ValueType{i32})
	export(abi.ImportResponseWrite, func(ctx context.Context, module api.Module, stack []uint64) {
		view, _ := module.Memory().Read(uint32(stack[0]), uint32(stack[1]))
		exchangeOf(ctx).response = bytes.Clone(view)
	}, []api.ValueType{i32, i32}, nil)
	export(abi.ImportError, func(ctx context.Context, module api.Module, stack []uint64) {
		view, _ := module.Memory().Read(uint32(stack[0]), uint32(stack[1]))
		exchangeOf(ctx).failure = bytes.Clone(view)
	}, []api.ValueType{i32, i32}, nil)
	export(abi.ImportLog, func(context.Context, api.Module, []uint64) {}, []api.ValueType{i32, i32, i32}, nil)
	if _, err := host.Instantiate(ctx); err != nil {
		return err
	}
	tick := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = refill }
	_, err := m.runtime.NewHostModuleBuilder(meter.TickModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(tick), []api.ValueType{i64}, []api.ValueType{i64}).Export(meter.TickName).Instantiate(ctx)
	return err
}

// Instance is an instance of a Module. It serves one call at a time, and keeps what they leave behind.
type Instance struct {
	module    api.Module
	reconcile api.Function
}

// Instantiate makes an instance and starts it.
func (m *Module) Instantiate(ctx context.Context) (*Instance, error) {
	ctx = context.WithValue(ctx, exchangeKey{}, &exchange{})
	config := wazero.NewModuleConfig().WithName("").WithArgs("module").WithStartFunctions(abi.ExportInitialize)
	module, err := m.runtime.InstantiateModule(ctx, m.compiled, config)
	if err != nil {
		return nil, err
	}
	return &Instance{module, module.ExportedFunction(abi.ExportReconcile)}, nil
}

// Close frees the instance.
func (i *Instance) Close(ctx context.Context) error { return i.module.Close(ctx) }

// Call gives the instance a request and returns its response.
func (i *Instance) Call(ctx context.Context, request []byte) ([]byte, error) {
	var stack [1]uint64
	e := &exchange{request: request}
	err := i.reconcile.CallWithStack(context.WithValue(ctx, exchangeKey{}, e), stack[:])
	if err == nil && (stack[0] != 0 || e.failure != nil) {
		err = fmt.Errorf("the module failed: %s", e.failure)
	}
	return e.response, err
}

// File reads a file of the project, named from its root.
func File(name string) ([]byte, error) {
	_, self, _, _ := runtime.Caller(0)
	return os.ReadFile(filepath.Join(filepath.Dir(self), "../../../..", name))
}

// Names of files for File.
const (
	// MarkdownView is the sample module in Go. `make modules` builds it.
	MarkdownView = "modules/markdownview/markdownview.wasm"
	// MarkdownViewRust, MarkdownViewC and MarkdownViewAssemblyScript are the same in other languages.
	MarkdownViewRust           = "host/internal/guest/testdata/guests/rust/markdownview.wasm"
	MarkdownViewC              = "host/internal/guest/testdata/guests/c/markdownview.wasm"
	MarkdownViewAssemblyScript = "host/internal/guest/testdata/guests/assemblyscript/markdownview.wasm"
	// Request is a request for all of them.
	Request = "modules/markdownview/testdata/request.json"
)
