package record

import (
	"context"
	"errors"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Replayed is what came of making a recorded call again.
type Replayed struct {
	// Digest is that of the module that was called.
	Digest string
	// Response, Fuel, Error and Duration are as in a Recording.
	Response string
	Fuel     uint64
	Error    string
	Duration time.Duration
	// Log are the lines that the module logged.
	Log []string
}

// Same says whether all is as it was recorded.
func (p *Replayed) Same(r *Recording) bool {
	return p.Digest == r.Module.Digest && p.Response == r.Response && p.Fuel == r.Fuel && p.Error == r.Error
}

// Replay makes a recorded call again, with the recorded module or another one, within the same limits. cacheDir is for
// compiled modules; empty: none.
func (r *Recording) Replay(ctx context.Context, module *source.Module, cacheDir string) (replayed *Replayed, err error) {
	runtime, err := guest.NewRuntime(ctx, guest.Options{CacheDir: cacheDir, ConcurrentCalls: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	loaded, err := runtime.Load(ctx, module.Bytes, r.Module.Limits, r.Module.Isolation)
	if err != nil {
		return nil, err
	}
	replayed = &Replayed{Digest: module.Digest}
	start := time.Now()
	result, err := loaded.Call(ctx, r.Request, func(level abi.Level, line string) {
		replayed.Log = append(replayed.Log, level.String()+" "+line)
	})
	replayed.Duration = time.Since(start)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	replayed.Response, replayed.Fuel = string(result.Response), result.Fuel
	if err != nil {
		replayed.Error = err.Error()
	}
	return replayed, loaded.Close(ctx)
}
