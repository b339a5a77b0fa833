// Package guest runs WebAssembly modules in a sandbox: it compiles them, checks that they keep to the contract of
// sdk/ABI.md, and calls them. Each call is metered, bounded and hermetic: it sees a copy of the module as it was right
// after its start, and nothing that it does is seen by another. The package knows nothing of Kubernetes.
package guest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
)

// Runtime compiles modules and owns what they share. It is safe for concurrent use.
type Runtime struct {
	options Options
	wazero  wazero.Runtime
	cache   *diskCache
	slots   chan struct{} // holds an item for each call that runs, but first calls
	firsts  chan struct{} // holds an item for each first call of a Module that runs

	// compiling holds an item while a module is compiled, which takes much memory.
	compiling chan struct{}
	mu        sync.Mutex
	programs  map[programKey]*program

	tidying sync.Mutex
	tidier  *time.Timer // nil before the first load
	closed  bool
}

// tidyAfter is how long after a load memory is tidied up: those that come together are done with together.
const tidyAfter = time.Second

// firstCalls times Options.ConcurrentCalls is how many Modules can have their first call run at the same time. All that run
// share the processors, and none ends soon where a thousand begin together, as they do when a host starts.
const firstCalls = 16

// NewRuntime returns a Runtime. Close lets its memory go.
func NewRuntime(ctx context.Context, options Options) (*Runtime, error) {
	options = options.withDefaults()
	// Fuel bounds and interrupts calls; wazero's own way of interrupting costs several times as much.
	config := wazero.NewRuntimeConfig().WithDebugInfoEnabled(false)
	r := &Runtime{
		options: options, programs: map[programKey]*program{},
		slots: make(chan struct{}, options.ConcurrentCalls), firsts: make(chan struct{}, firstCalls*options.ConcurrentCalls),
		compiling: make(chan struct{}, 1),
	}
	if options.CacheDir != "" {
		cache, err := openDiskCache(options.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s as a cache of compiled modules: %w", options.CacheDir, err)
		}
		r.cache, config = cache, config.WithCompilationCache(cache.wazero)
	}
	r.wazero = wazero.NewRuntimeWithConfig(ctx, config)
	if err := r.offerHost(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot offer the host's functions to modules: %w", err), r.wazero.Close(ctx))
	}
	return r, nil
}

// offerHost offers all that modules may import.
func (r *Runtime) offerHost(ctx context.Context) error {
	if err := r.offerTick(ctx); err != nil {
		return err
	}
	if err := r.offerABI(ctx); err != nil {
		return err
	}
	return r.offerWASI(ctx)
}

// tidySoon lets go what loading has left: compiling alone leaves 60 MiB of garbage, which would otherwise stay resident for
// minutes.
func (r *Runtime) tidySoon() {
	r.tidying.Lock()
	defer r.tidying.Unlock()
	switch {
	case r.closed:
	case r.tidier == nil:
		r.tidier = time.AfterFunc(tidyAfter, r.tidy)
	default:
		r.tidier.Reset(tidyAfter)
	}
}

func (r *Runtime) stopTidying() {
	r.tidying.Lock()
	defer r.tidying.Unlock()
	r.closed = true
	if r.tidier != nil {
		r.tidier.Stop()
	}
}

func (r *Runtime) tidy() {
	if r.cache != nil {
		r.mu.Lock()
		programs := slices.Collect(maps.Values(r.programs))
		r.mu.Unlock()
		for _, p := range programs {
			p.mu.Lock()
			if p.loaded {
				p.source.toDisk(r.cache.dir)
			}
			p.mu.Unlock()
		}
	}
	debug.FreeOSMemory()
}

// Close lets all modules go. Calls must have ended.
func (r *Runtime) Close(ctx context.Context) error {
	r.stopTidying()
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, p := range r.programs {
		errs = append(errs, p.unload(ctx))
	}
	errs = append(errs, r.wazero.Close(ctx))
	if r.cache != nil {
		errs = append(errs, r.cache.close(ctx))
	}
	return errors.Join(errs...)
}

// rewrite adds metering to a module.
func (r *Runtime) rewrite(wasm []byte, limits Limits) (*meter.Result, error) {
	result, err := meter.Rewrite(wasm, meter.Options{
		MaxTable: limits.Table, MaxFunctions: r.options.MaxFunctions, MaxFunctionSize: r.options.MaxFunctionSize,
	})
	if err != nil {
		return nil, &LoadError{"it is not a WebAssembly module that can be metered", err}
	}
	return result, nil
}
