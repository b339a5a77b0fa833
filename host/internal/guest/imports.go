package guest

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// callKey is where the context carries the *call that host functions belong to.
type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// instantiateHostModule offers the functions of sdk/ABI.md to modules. A pointer outside the module's memory ends the
// call with an error: wazero turns a panic in a host function into one of the guest's.
func (r *Runtime) instantiateHostModule(ctx context.Context) error {
	_, err := r.wazero.NewHostModuleBuilder(abi.ImportModule).
		NewFunctionBuilder().WithFunc(requestLen).Export(abi.ImportRequestLen).
		NewFunctionBuilder().WithFunc(requestRead).Export(abi.ImportRequestRead).
		NewFunctionBuilder().WithFunc(responseWrite).Export(abi.ImportResponseWrite).
		NewFunctionBuilder().WithFunc(reportError).Export(abi.ImportError).
		NewFunctionBuilder().WithFunc(logLine).Export(abi.ImportLog).
		Instantiate(ctx)
	return err
}

func requestLen(ctx context.Context) uint32 { return uint32(len(callOf(ctx).request)) }

func requestRead(ctx context.Context, module api.Module, ptr, offset, length uint32) uint32 {
	request := callOf(ctx).request
	if uint64(offset) >= uint64(len(request)) {
		return 0
	}
	part := request[offset:]
	part = part[:min(uint64(length), uint64(len(part)))]
	copy(guestMemory(module, abi.ImportRequestRead, ptr, uint32(len(part))), part)
	return uint32(len(part))
}

func responseWrite(ctx context.Context, module api.Module, ptr, length uint32) {
	callOf(ctx).setResponse(guestMemory(module, abi.ImportResponseWrite, ptr, length))
}

func reportError(ctx context.Context, module api.Module, ptr, length uint32) {
	callOf(ctx).setFailure(guestMemory(module, abi.ImportError, ptr, length))
}

func logLine(ctx context.Context, module api.Module, level, ptr, length uint32) {
	callOf(ctx).log(abi.Level(int32(level)), string(guestMemory(module, abi.ImportLog, ptr, length)))
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

// hostFunctions are all that a module may import, by module and name.
var hostFunctions = map[string]map[string]bool{
	abi.ImportModule: {
		abi.ImportRequestLen: true, abi.ImportRequestRead: true, abi.ImportResponseWrite: true,
		abi.ImportError: true, abi.ImportLog: true,
	},
}

// importable says whether the host offers a function. Of WASI it offers all.
func (r *Runtime) importable(module, name string) bool {
	if module == wasi_snapshot_preview1.ModuleName {
		_, ok := r.wazero.Module(module).ExportedFunctionDefinitions()[name]
		return ok
	}
	return hostFunctions[module][name]
}
