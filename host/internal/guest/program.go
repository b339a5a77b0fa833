package guest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// programKey is what a program is shared by. Limits are part of it, since an image is made within them.
type programKey struct {
	digest    [32]byte
	limits    Limits
	isolation Isolation
}

// program is a compiled module with its image and its idle instances, shared by all controllers that use it. It is
// loaded by the first call and let go when nobody has called for a while.
type program struct {
	runtime *Runtime
	key     programKey
	users   int // Modules; guarded by Runtime.mu
	// loading holds an item while somebody loads the program or looks whether it is. Whoever waits for it can give up, as
	// those who wait for mu cannot.
	loading chan struct{}

	mu        sync.Mutex
	source    source
	loaded    bool
	rewritten *meter.Result // without its bytes
	compiled  wazero.CompiledModule
	tier      Tier
	memory    uint32 // in pages, at the start
	imports   []string
	exports   []string
	mode      restoreMode
	why       string // why mode is no better
	warms     bool   // whether the warm-up request can be served
	image     *image
	idle      []*instance
	calls     int // that are running
	lastCall  time.Time
	unloader  *time.Timer
}

// acquire makes sure that the program is loaded, and keeps it so until done is called.
func (p *program) acquire(ctx context.Context) (done func(), err error) {
	select {
	case p.loading <- struct{}{}:
		defer func() { <-p.loading }()
	case <-ctx.Done():
		return nil, notBegun(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.loaded {
		if err := p.load(ctx); err != nil {
			return nil, err
		}
	}
	p.calls++
	return p.release, nil
}

func (p *program) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls--
	p.lastCall = time.Now()
	if p.unloader == nil {
		p.unloader = time.AfterFunc(p.runtime.options.IdleTimeout, p.unloadIfIdle)
	}
}

// unloadIfIdle lets the program go if nobody has called for long enough, or looks again later.
func (p *program) unloadIfIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unloader == nil {
		return // unload came first
	}
	left := p.runtime.options.IdleTimeout - time.Since(p.lastCall)
	if p.calls == 0 && left <= 0 {
		p.unloader = nil
		_ = p.drop(context.Background()) // memory is all that there is to lose
		return
	}
	p.unloader.Reset(max(left, time.Second))
}

func (p *program) unload(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unloader != nil {
		p.unloader.Stop()
		p.unloader = nil
	}
	p.source.close()
	return p.drop(ctx)
}

// drop lets all go that load made.
func (p *program) drop(ctx context.Context) error {
	if !p.loaded {
		return nil
	}
	for _, i := range p.idle {
		i.close(ctx)
	}
	p.loaded = false
	return p.letGo(ctx)
}

// letGo lets the image and the compiled module go.
func (p *program) letGo(ctx context.Context) error {
	if p.image != nil {
		p.image.memory.close()
	}
	err := p.compiled.Close(ctx)
	p.idle, p.image, p.compiled = nil, nil, nil
	return err
}

// load compiles the module, checks it and takes its image. Errors are of type *LoadError.
func (p *program) load(ctx context.Context) (err error) {
	if err := p.compile(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = p.letGo(ctx) // err says more
		}
	}()
	if err := p.check(); err != nil {
		return err
	}
	p.noteInterface()
	p.mode, p.why = p.chooseMode()
	if p.tier == Reactor {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	p.loaded = true
	p.runtime.tidySoon()
	return nil
}

// compile rewrites and compiles the module, one module at a time: compiling takes much memory.
func (p *program) compile(ctx context.Context) error {
	select {
	case p.runtime.compiling <- struct{}{}:
		defer func() { <-p.runtime.compiling }()
	case <-ctx.Done():
		return &LoadError{"it was not compiled before the load was cancelled", context.Cause(ctx)}
	}
	wasm, err := p.source.bytes()
	if err != nil {
		return &LoadError{"it cannot be read again", err}
	}
	rewritten, err := p.runtime.rewrite(wasm, p.key.limits)
	if err != nil {
		return err
	}
	begun, cached := time.Now(), false
	if cache := p.runtime.cache; cache != nil {
		p.compiled, cached, err = cache.compile(ctx, p.runtime.wazero, rewritten.Wasm)
	} else {
		p.compiled, err = p.runtime.wazero.CompileModule(ctx, rewritten.Wasm)
	}
	switch {
	case isOfSystem(err):
		return &LoadError{"its compiled form cannot be kept", err}
	case err != nil:
		return &LoadError{"it is not a valid WebAssembly module", err}
	}
	if told := p.runtime.options.Compiled; told != nil {
		told(time.Since(begun), cached)
	}
	rewritten.Wasm = nil
	p.rewritten = rewritten
	return nil
}

// chooseMode chooses how instances are put back after a call, and says why it is not the best way.
func (p *program) chooseMode() (mode restoreMode, why string) {
	switch forced := p.runtime.options.restore; {
	case p.tier == Command:
		return restoreFresh, "a command ends with each call"
	case p.rewritten.Uncapturable != "":
		return restoreFresh, p.rewritten.Uncapturable
	case forced != restoreBest:
		return forced, "asked for"
	case runtime.GOOS != "linux":
		return restoreCopy, "it needs Linux"
	default:
		return restoreBest, ""
	}
}

// start starts the module once: so that one that cannot start is found out now, and to take the image.
func (p *program) start(ctx context.Context) error {
	i, err := p.started(ctx, true)
	if p.warms = err == nil; !p.warms && ctx.Err() == nil {
		i, err = p.started(ctx, false)
	}
	switch {
	case err == nil:
		defer i.close(ctx)
	case ctx.Err() != nil: // nobody knows whether it would have been served
		return &LoadError{"its start was cancelled", context.Cause(ctx)}
	default:
		return &LoadError{"it cannot be started", err}
	}
	if p.mode != restoreFresh {
		if err := p.takeImage(i); err != nil {
			return &LoadError{"its image cannot be taken", err}
		}
	}
	return p.checkVersion(ctx, i) // comes last, so that what it does is not part of the image
}

// takeImage takes the image in the best way that works.
func (p *program) takeImage(i *instance) (err error) {
	p.image, err = i.capture(p.mode)
	if err != nil && p.mode == restoreBest {
		p.why = err.Error()
		p.image, err = i.capture(restoreCopy)
	}
	if err == nil {
		p.mode = p.image.memory.mode()
	}
	return err
}

// started returns an instance that was started, and, if it is to be warm, has served one fixed request. What a module
// does only once, such as building tables for the types that it decodes, is then done for all calls. The request is
// always the same: a live one would carry one object's secrets into the calls of others, and fuel would depend on
// which came first.
func (p *program) started(ctx context.Context, warm bool) (i *instance, err error) {
	c := p.newCall(ctx, p.startLimits(), warmUpRequest, func(abi.Level, string) {})
	if i, err = p.newInstance(ctx, c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.close(ctx)
			i = nil
		}
	}()
	if _, err = i.call(ctx, c, abi.ExportInitialize); err != nil || !warm {
		return i, err
	}
	i.begin(c)
	_, err = i.call(ctx, c, abi.ExportReconcile) // what it answers does not matter, as long as it does
	return i, err
}

// startLimits bound the start of a module, which is no call and happens once: a controller's fuel and time for calls say
// nothing of it. They are wide enough that fuel ends a start that does not end by itself, so that how it ends does not
// depend on the machine.
func (p *program) startLimits() Limits {
	limits := p.key.limits
	limits.Fuel = max(limits.Fuel, Limits{}.WithDefaults().Fuel)
	limits.Timeout = max(limits.Timeout, time.Minute)
	return limits
}

// warmUpRequest is the request that images are warmed up with.
var warmUpRequest = (&abi.Request{
	Controller: "warm-up",
	Object: []byte(`{"apiVersion":"v1","kind":"WarmUp","metadata":{"annotations":{"a":"b"},"creationTimestamp":"2020-01-01T00:00:00Z",` +
		`"generation":1,"labels":{"a":"b"},"name":"warm-up","namespace":"default","uid":"00000000-0000-0000-0000-000000000000"},` +
		`"spec":{},"status":{}}`),
}).AppendJSON(nil)

// checkVersion asks a started instance which ABI it speaks.
func (p *program) checkVersion(ctx context.Context, i *instance) error {
	c := p.newCall(ctx, p.key.limits, nil, func(abi.Level, string) {})
	i.begin(c)
	version, err := i.call(ctx, c, abi.ExportVersion)
	if err != nil {
		return &LoadError{"it cannot say which ABI it speaks", err}
	}
	if version != abi.Version {
		return &LoadError{fmt.Sprintf("it speaks version %d of the ABI, and this host version %d", version, abi.Version), nil}
	}
	return nil
}

// take returns an instance to call.
func (p *program) take(ctx context.Context) (*instance, error) {
	if p.mode == restoreFresh {
		return p.freshInstance(ctx)
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 { // the one that was used last is the warmest
		i := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	i, err := p.newInstance(ctx, p.newCall(ctx, p.key.limits, nil, func(abi.Level, string) {}))
	if err != nil {
		return nil, err
	}
	if err := p.image.install(i); err != nil {
		i.close(ctx)
		return nil, err
	}
	return i, nil
}

// freshInstance makes an instance from scratch, in the state that an image of it would have.
func (p *program) freshInstance(ctx context.Context) (*instance, error) {
	if p.tier == Command {
		return p.newInstance(ctx, p.newCall(ctx, p.key.limits, nil, func(abi.Level, string) {}))
	}
	return p.started(ctx, p.warms)
}

// give takes an instance back after a call that ended well.
func (p *program) give(ctx context.Context, i *instance) {
	if p.mode == restoreFresh || p.key.isolation != Pooled && p.image.restore(i) != nil {
		i.close(ctx)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) > p.runtime.options.ConcurrentCalls { // more than are in use at most times
		i.close(ctx)
		return
	}
	p.idle = append(p.idle, i)
}
