package guest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

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

// Module is a module that keeps to the contract, with limits for its calls. It is safe for concurrent use.
//
// One call of each Module can run outside of what Options.ConcurrentCalls allows, which those beyond it share. So whoever
// has a Module of its own is not kept waiting by others, short of firstCalls of them.
type Module struct {
	program *program
	own     chan struct{} // holds an item while one call runs outside of the shared number
}

// Result is what a call answered and what it used.
type Result struct {
	// Response is the encoded response.
	Response []byte
	// Fuel is how much fuel the call used. The same request always uses the same.
	Fuel uint64
	// Memory is the size of the module's memory after the call, in bytes.
	Memory uint64
}

// Load compiles a module and checks that it can be called: its imports, its exports, its ABI version, and that it
// starts. Modules of the same bytes, limits and isolation share all but their calls. Errors are of type *LoadError.
func (r *Runtime) Load(ctx context.Context, wasm []byte, limits Limits, isolation Isolation) (*Module, error) {
	if len(wasm) > r.options.MaxModule {
		return nil, &LoadError{fmt.Sprintf("it has %s, and the limit is %s",
			bytesText(uint64(len(wasm))), bytesText(uint64(r.options.MaxModule))), nil}
	}
	p := r.program(programKey{sha256.Sum256(wasm), limits.WithDefaults(), isolation}, wasm)
	done, err := p.acquire(ctx)
	if err != nil {
		if _, ok := errors.AsType[*LoadError](err); !ok {
			err = &LoadError{"the load was cancelled while another one went on", err}
		}
		return nil, errors.Join(err, (&Module{program: p}).Close(ctx))
	}
	done()
	return &Module{p, make(chan struct{}, 1)}, nil
}

// program returns the program of this key, and counts one more user of it.
func (r *Runtime) program(key programKey, wasm []byte) *program {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.programs[key]
	if !ok {
		p = &program{runtime: r, key: key, source: source{digest: key.digest, wasm: wasm}, loading: make(chan struct{}, 1)}
		r.programs[key] = p
	}
	p.users++
	return p
}

// Tier says how the module is called.
func (m *Module) Tier() Tier {
	m.program.mu.Lock()
	defer m.program.mu.Unlock()
	return m.program.tier
}

// Restoring says how the module's instances are put back after a call, and, if it is not the best way, why.
func (m *Module) Restoring() (mode, why string) {
	d := m.Describe()
	return d.Restoring, d.Because
}

// Close lets the module go, if no other Module shares it. Calls must have ended.
func (m *Module) Close(ctx context.Context) error {
	r := m.program.runtime
	r.mu.Lock()
	m.program.users--
	last := m.program.users == 0
	if last {
		delete(r.programs, m.program.key)
	}
	r.mu.Unlock()
	if !last {
		return nil
	}
	return m.program.unload(ctx)
}

// Call gives the module a request and returns its response. log gets the module's log lines as they come.
//
// The result is never nil; with an error it tells what the call used. Errors are of type *ModuleError, *LimitError,
// *TrapError or *LoadError, or wrap ctx's.
func (m *Module) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) (*Result, error) {
	limits := m.program.key.limits
	if size := uint64(len(request)); size > limits.Request {
		return &Result{}, &LimitError{"request", bytesText(limits.Request), bytesText(size)}
	}
	leave, err := m.enter(ctx)
	if err != nil {
		return &Result{}, err
	}
	defer leave()
	done, err := m.program.acquire(ctx)
	if err != nil {
		return &Result{}, err
	}
	defer done()
	return m.program.call(ctx, request, log)
}

// enter waits until one more call may run.
func (m *Module) enter(ctx context.Context) (leave func(), err error) {
	r := m.program.runtime
	select {
	case m.own <- struct{}{}:
		return m.enterFirst(ctx)
	default:
	}
	select {
	case m.own <- struct{}{}:
		return m.enterFirst(ctx)
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, notBegun(ctx)
	}
}

// enterFirst waits with the first call of a Module, which holds the Module's own place.
func (m *Module) enterFirst(ctx context.Context) (leave func(), err error) {
	r := m.program.runtime
	select {
	case r.firsts <- struct{}{}:
		return func() { <-r.firsts; <-m.own }, nil
	case <-ctx.Done():
		<-m.own
		return nil, notBegun(ctx)
	}
}

func notBegun(ctx context.Context) error {
	return fmt.Errorf("the call was cancelled before it began: %w", context.Cause(ctx))
}

// call serves one request with an instance of its own, or one that looks like it.
func (p *program) call(ctx context.Context, request []byte, log Log) (*Result, error) {
	i, err := p.take(ctx)
	if err != nil {
		return &Result{}, err
	}
	c := p.newCall(ctx, p.key.limits, request, log)
	serve := i.reconcile
	if p.tier == Command {
		serve = i.run
	}
	result := &Result{}
	result.Response, err = serve(ctx, c)
	result.Fuel, result.Memory = i.used(c), i.size()
	c.flush()
	var failed *ModuleError
	if err == nil || errors.As(err, &failed) {
		p.give(ctx, i)
	} else {
		i.close(ctx) // nobody knows what state it is in
	}
	return result, err
}

// run serves one request with a command.
func (i *instance) run(ctx context.Context, c *call) ([]byte, error) {
	i.begin(c)
	if _, err := i.call(ctx, c, abi.ExportStart); err != nil {
		return nil, err
	}
	return c.commandOutcome()
}

// check checks what can be seen of the module without starting it.
func (p *program) check() error {
	if err := p.runtime.checkImports(p.compiled, p.rewritten.Imports); err != nil {
		return err
	}
	if err := p.checkExports(); err != nil {
		return err
	}
	if err := p.checkTier(); err != nil {
		return err
	}
	if size := uint64(p.rewritten.Memory) * wasmPage; size > p.key.limits.Memory {
		return &LoadError{fmt.Sprintf("it starts with %s of memory, and the limit is %s",
			bytesText(size), bytesText(p.key.limits.Memory)), nil}
	}
	return nil
}

// checkExports tells the tiers apart.
func (p *program) checkExports() error {
	if _, ok := p.compiled.ExportedMemories()[abi.ExportMemory]; !ok {
		return &LoadError{"it does not export its memory as " + abi.ExportMemory, nil}
	}
	functions := p.compiled.ExportedFunctions()
	reconcile, isReactor := functions[abi.ExportReconcile]
	version, hasVersion := functions[abi.ExportVersion]
	initialize, start := functions[abi.ExportInitialize], functions[abi.ExportStart]
	switch {
	case isReactor && !hasVersion:
		return &LoadError{"it exports " + abi.ExportReconcile + " but not " + abi.ExportVersion, nil}
	case isReactor && start != nil:
		return &LoadError{"it exports both " + abi.ExportReconcile + " (a reactor) and " + abi.ExportStart +
			" (a command): build a reactor as a library, in Go with -buildmode=c-shared", nil}
	case isReactor && (!takesNothing(reconcile, i32) || !takesNothing(version, i32)):
		return &LoadError{abi.ExportReconcile + " and " + abi.ExportVersion + " must take nothing and return an i32", nil}
	case isReactor && initialize != nil && !takesNothing(initialize):
		return &LoadError{abi.ExportInitialize + " must take nothing and return nothing", nil}
	case isReactor:
		p.tier = Reactor
	case start != nil && takesNothing(start):
		p.tier = Command
	default:
		return &LoadError{"it exports neither " + abi.ExportReconcile + " (a reactor) nor " + abi.ExportStart + " (a WASI command)", nil}
	}
	return nil
}

// checkTier refuses a command that imports what is there for reactors: it would get no request and give no response so.
func (p *program) checkTier() error {
	if p.tier != Command {
		return nil
	}
	for _, function := range p.compiled.ImportedFunctions() {
		if module, name, _ := function.Import(); module == abi.ImportModule {
			return &LoadError{fmt.Sprintf("it is a WASI command, which reads its request from stdin and writes its response to stdout, "+
				"but imports %s.%s, which is for reactors: export %s, or do without", module, name, abi.ExportReconcile), nil}
		}
	}
	return nil
}

func takesNothing(f api.FunctionDefinition, results ...api.ValueType) bool {
	return len(f.ParamTypes()) == 0 && string(f.ResultTypes()) == string(results)
}
