package guest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// callKey is where the context carries the *call that host functions belong to.
type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// hostFunction is a function for modules to import. What it panics with ends the call as an error.
type hostFunction struct {
	name            string
	params, results []api.ValueType
	call            api.GoModuleFunc
}

func (r *Runtime) offer(ctx context.Context, module string, functions []hostFunction) error {
	builder := r.wazero.NewHostModuleBuilder(module)
	for _, f := range functions {
		builder = builder.NewFunctionBuilder().WithGoModuleFunction(f.call, f.params, f.results).Export(f.name)
	}
	_, err := builder.Instantiate(ctx)
	return err
}

// offerTick offers the function that metered code calls when its fuel counter falls below zero.
func (r *Runtime) offerTick(ctx context.Context) error {
	if r.options.Profile != nil {
		ctx = experimental.WithFunctionListenerFactory(ctx, &profiler{tell: r.options.Profile})
	}
	return r.offer(ctx, meter.TickModule, []hostFunction{{
		meter.TickName,
		[]api.ValueType{i64},
		[]api.ValueType{i64},
		func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(callOf(ctx).refuel(int64(stack[0])))
		},
	}})
}

// offerABI offers the functions of sdk/ABI.md. A pointer outside the module's memory ends the call.
func (r *Runtime) offerABI(ctx context.Context) error {
	return r.offer(ctx, abi.ImportModule, []hostFunction{
		{abi.ImportRequestLen, nil, []api.ValueType{i32}, requestLen},
		{abi.ImportRequestRead, []api.ValueType{i32, i32, i32}, []api.ValueType{i32}, requestRead},
		{abi.ImportResponseWrite, []api.ValueType{i32, i32}, nil, responseWrite},
		{abi.ImportError, []api.ValueType{i32, i32}, nil, reportError},
		{abi.ImportLog, []api.ValueType{i32, i32, i32}, nil, logLine},
	})
}

func requestLen(ctx context.Context, _ api.Module, stack []uint64) {
	stack[0] = uint64(len(callOf(ctx).request))
}

func requestRead(ctx context.Context, module api.Module, stack []uint64) {
	c, ptr, offset, length := callOf(ctx), uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	part := c.request[min(uint64(offset), uint64(len(c.request))):]
	part = part[:min(uint64(length), uint64(len(part)))]
	c.charge(len(part))
	copy(guestMemory(module, abi.ImportRequestRead, ptr, uint32(len(part))), part)
	stack[0] = uint64(len(part))
}

func responseWrite(ctx context.Context, module api.Module, stack []uint64) {
	c, view := callOf(ctx), guestMemory(module, abi.ImportResponseWrite, uint32(stack[0]), uint32(stack[1]))
	c.charge(len(view))
	c.setResponse(view)
}

func reportError(ctx context.Context, module api.Module, stack []uint64) {
	c, view := callOf(ctx), guestMemory(module, abi.ImportError, uint32(stack[0]), uint32(stack[1]))
	c.charge(len(view))
	c.setFailure(view)
}

func logLine(ctx context.Context, module api.Module, stack []uint64) {
	c, view := callOf(ctx), guestMemory(module, abi.ImportLog, uint32(stack[1]), uint32(stack[2]))
	c.charge(len(view))
	c.log(abi.Level(int32(stack[0])), view)
}

// guestMemory returns a view of the guest's memory. It is only good until the guest runs again.
func guestMemory(module api.Module, function string, ptr, length uint32) []byte {
	view, ok := module.Memory().Read(ptr, length)
	if !ok {
		panic(fmt.Errorf("%s.%s was given %d bytes at %#x, outside of the module's %d bytes of memory",
			abi.ImportModule, function, length, ptr, module.Memory().Size()))
	}
	return view
}

// checkImports refuses a module that imports what the host does not offer, which is functions only: others are what
// else it imports. A module that imports the tick itself is refused too.
func (r *Runtime) checkImports(compiled wazero.CompiledModule, others []string) error {
	unknown := slices.Clone(others)
	functions := compiled.ImportedFunctions()
	for _, function := range functions[:len(functions)-1] { // the last is the tick
		module, name, _ := function.Import()
		var offered api.FunctionDefinition
		if host := r.wazero.Module(module); host != nil {
			offered = host.ExportedFunctionDefinitions()[name]
		}
		switch {
		case offered == nil, module == meter.TickModule:
			unknown = append(unknown, module+"."+name)
		case signature(function) != signature(offered):
			unknown = append(unknown, fmt.Sprintf("%s.%s as %s, which is %s", module, name, signature(function), signature(offered)))
		}
	}
	if len(unknown) > 0 {
		return &LoadError{fmt.Sprintf("it imports what the host does not offer: %q", unknown), nil}
	}
	return nil
}

// signature writes a function's type as in (i32, i64) -> (i32).
func signature(f api.FunctionDefinition) string {
	list := func(types []api.ValueType) string {
		var names []string
		for _, t := range types {
			names = append(names, api.ValueTypeName(t))
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return list(f.ParamTypes()) + " -> " + list(f.ResultTypes())
}
