// Package guest runs WebAssembly modules in a sandbox: it compiles them, checks that they keep to the contract of
// sdk/ABI.md, and calls them, each call in an instance of its own. It knows nothing of Kubernetes.
package guest

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Runtime compiles modules and owns what they share. It is safe for concurrent use.
type Runtime struct {
	wazero wazero.Runtime
}

// Options are the optional settings of a Runtime.
type Options struct {
	// CacheDir is a folder for compiled modules, so that they need not be compiled again by the next process. It is
	// made if it is missing. Whoever can write there can run code in the host. Empty: compiled modules are kept in
	// memory only.
	CacheDir string
}

// NewRuntime returns a Runtime. Close lets its memory go.
func NewRuntime(ctx context.Context, opts Options) (*Runtime, error) {
	// Without CloseOnContextDone an endless loop in a module could never be interrupted.
	config := wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithDebugInfoEnabled(true)
	if opts.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(opts.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s as a cache of compiled modules: %w", opts.CacheDir, err)
		}
		config = config.WithCompilationCache(cache)
	}
	r := &Runtime{wazero: wazero.NewRuntimeWithConfig(ctx, config)}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r.wazero); err != nil {
		return nil, fmt.Errorf("cannot offer WASI to modules: %w", err)
	}
	if err := r.instantiateHostModule(ctx); err != nil {
		return nil, fmt.Errorf("cannot offer the host's functions to modules: %w", err)
	}
	return r, nil
}

// Close ends all calls and lets all modules go.
func (r *Runtime) Close(ctx context.Context) error { return r.wazero.Close(ctx) }
