package engine

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// idleTime is how long no module is called before the host gives back the memory that the calls before took.
const idleTime = 2 * time.Second

// idler gives memory back to the operating system when work ends. What a burst of reconciles leaves behind is several
// times what the host holds, and Go returns it slowly. It implements manager.Runnable.
type idler struct{ calls atomic.Int64 }

// watching counts the calls of a module.
func (i *idler) watching(module reconcile.Module) reconcile.Module {
	return reconcile.ModuleFunc(func(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
		i.calls.Add(1)
		return module.Call(ctx, request, log)
	})
}

// NeedLeaderElection is false: a host that waits is idle too.
func (i *idler) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (i *idler) Start(ctx context.Context) error {
	ticker := time.NewTicker(idleTime)
	defer ticker.Stop()
	seen, freed := int64(0), int64(-1) // filling the caches leaves memory behind too, though nothing was called
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		calls := i.calls.Load()
		if calls == seen && calls != freed {
			debug.FreeOSMemory()
			freed = calls
		}
		seen = calls
	}
}
