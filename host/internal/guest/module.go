package guest

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Tier is how a module is called.
type Tier string

const (
	// Reactor is a module that exports a reconcile function.
	Reactor Tier = "reactor"
	// Command is a plain WASI program: request on stdin, response on stdout.
	Command Tier = "command"
)

// Module is a compiled module that keeps to the contract. It is safe for concurrent use.
type Module struct {
	runtime  *Runtime
	compiled wazero.CompiledModule
	limits   Limits
	tier     Tier
}

// Load compiles a module and checks that it can be called: its imports, its exports, its ABI version, and that its
// start-up succeeds. Errors are of type *LoadError.
func (r *Runtime) Load(ctx context.Context, wasm []byte, limits Limits) (*Module, error) {
	compiled, err := r.wazero.CompileModule(ctx, wasm)
	if err != nil {
		return nil, &LoadError{"it is not a valid WebAssembly module", err}
	}
	module := &Module{runtime: r, compiled: compiled, limits: limits.withDefaults()}
	if err := module.check(ctx); err != nil {
		_ = compiled.Close(ctx) // the check's error says more
		return nil, err
	}
	return module, nil
}

// Tier says how the module is called.
func (m *Module) Tier() Tier { return m.tier }

// Close lets the compiled module go. Calls must have ended.
func (m *Module) Close(ctx context.Context) error { return m.compiled.Close(ctx) }

func (m *Module) check(ctx context.Context) error {
	if err := m.checkImports(); err != nil {
		return err
	}
	if err := m.checkExports(); err != nil {
		return err
	}
	for _, memory := range m.compiled.ExportedMemories() {
		if size := uint64(memory.Min()) * wasmPage; size > m.limits.Memory {
			return &LoadError{fmt.Sprintf("it starts with %s of memory, and the limit is %s",
				bytesText(size), bytesText(m.limits.Memory)), nil}
		}
	}
	if m.tier == Command {
		return nil
	}
	return m.checkVersion(ctx)
}

func (m *Module) checkImports() error {
	var unknown []string
	for _, function := range m.compiled.ImportedFunctions() {
		if module, name, _ := function.Import(); !m.runtime.importable(module, name) {
			unknown = append(unknown, module+"."+name)
		}
	}
	if len(unknown) > 0 {
		return &LoadError{"it imports what the host does not offer: " + strings.Join(unknown, ", "), nil}
	}
	return nil
}

// checkExports tells the tiers apart.
func (m *Module) checkExports() error {
	if _, ok := m.compiled.ExportedMemories()[abi.ExportMemory]; !ok {
		return &LoadError{"it does not export its memory as " + abi.ExportMemory, nil}
	}
	functions := m.compiled.ExportedFunctions()
	reconcile, isReactor := functions[abi.ExportReconcile]
	version, hasVersion := functions[abi.ExportVersion]
	switch {
	case isReactor && !hasVersion:
		return &LoadError{"it exports " + abi.ExportReconcile + " but not " + abi.ExportVersion, nil}
	case isReactor && functions[abi.ExportStart] != nil:
		return &LoadError{"it exports both " + abi.ExportReconcile + " (a reactor) and " + abi.ExportStart +
			" (a command): build a reactor as a library, in Go with -buildmode=c-shared", nil}
	case isReactor && !(returnsI32(reconcile) && returnsI32(version)):
		return &LoadError{abi.ExportReconcile + " and " + abi.ExportVersion + " must take nothing and return an i32", nil}
	case isReactor:
		m.tier = Reactor
	case functions[abi.ExportStart] != nil:
		m.tier = Command
	default:
		return &LoadError{"it exports neither " + abi.ExportReconcile + " (a reactor) nor " + abi.ExportStart + " (a WASI command)", nil}
	}
	return nil
}

func returnsI32(f api.FunctionDefinition) bool {
	return len(f.ParamTypes()) == 0 && len(f.ResultTypes()) == 1 && f.ResultTypes()[0] == api.ValueTypeI32
}

// checkVersion starts the module once, so that one that cannot even start is found before an object needs it.
func (m *Module) checkVersion(ctx context.Context) error {
	var version int32
	call := m.newCall(nil, func(abi.Level, string) {})
	err := call.run(ctx, func(ctx context.Context, instance api.Module) error {
		results, err := instance.ExportedFunction(abi.ExportVersion).Call(ctx)
		if err == nil {
			version = api.DecodeI32(results[0])
		}
		return err
	})
	if err != nil {
		return &LoadError{"it cannot be started", err}
	}
	if version != abi.Version {
		return &LoadError{fmt.Sprintf("it speaks version %d of the ABI, and this host version %d", version, abi.Version), nil}
	}
	return nil
}
