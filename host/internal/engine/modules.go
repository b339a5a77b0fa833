package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// module is a module of the config, as one controller calls it. It implements reconcile.Module.
type module struct {
	name   string
	digest string
	limits guest.Limits
	// recorder takes each call; nil: none does.
	recorder *callRecorder
	// loaded is closed when guest or err is set. Who has not seen that reads neither.
	loaded chan struct{}
	guest  *guest.Module
	// err is why guest is nil.
	err error
}

// Call calls the module, as soon as it is loaded.
func (m *module) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error) {
	select {
	case <-m.loaded:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.err != nil {
		return nil, m.err
	}
	start := time.Now()
	result, err := m.guest.Call(ctx, request, log)
	fuelTotal.WithLabelValues(m.name).Add(float64(result.Fuel))
	if m.recorder != nil && ctx.Err() == nil {
		m.recorder.record(start, request, result, err)
	}
	return result.Response, err
}

// notLoadedError says that a module cannot be called before something is done about it.
type notLoadedError struct {
	module string
	cause  error
}

// Error says which module, and why.
func (e *notLoadedError) Error() string { return fmt.Sprintf("module %s: %v", e.module, e.cause) }

// Unwrap returns the cause.
func (e *notLoadedError) Unwrap() error { return e.cause }

// Terminal is true: trying again does not load the module.
func (e *notLoadedError) Terminal() bool { return true }

// loadModules fetches the module of each controller and has them loaded, which takes longer, while the host connects to
// the cluster and fills its caches. Controllers of one module share what it takes.
func (e *Engine) loadModules(ctx context.Context) {
	e.modules = map[string]*module{}
	fetched := make([]func(), len(e.config.Controllers))
	for i, controller := range e.config.Controllers {
		m := &module{name: controller.Module, loaded: make(chan struct{}), recorder: e.callRecorder(&controller)}
		e.modules[controller.Name] = m
		code, err := m.fetch(ctx, e.config.Modules[m.name].Source, controller.Limits)
		fetched[i] = func() { e.load(ctx, controller.Name, m, code, err) }
	}
	e.loading.Go(func() {
		for _, load := range fetched {
			load()
		}
	})
}

func (m *module) fetch(ctx context.Context, url string, limits config.Limits) (code []byte, err error) {
	if m.limits, err = setup.Limits(limits); err != nil {
		return nil, err
	}
	fetched, err := source.Fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	m.digest = fetched.Digest
	if m.recorder != nil {
		m.recorder.module.Digest, m.recorder.module.Limits = m.digest, m.limits
	}
	return fetched.Bytes, nil
}

// load loads a module that was fetched, unless that failed.
func (e *Engine) load(ctx context.Context, controller string, m *module, code []byte, err error) {
	defer close(m.loaded)
	start, entry := time.Now(), e.config.Modules[m.name]
	if err == nil {
		m.guest, err = e.runtime.Load(ctx, code, m.limits, guest.Isolation(entry.Isolation))
	}
	if err != nil {
		m.err = &notLoadedError{m.name, err}
		e.log.Error(err, "module cannot be loaded; its controllers say so on each object, the others go on",
			"controller", controller, "module", m.name, "source", entry.Source)
		return
	}
	restoring, why := m.guest.Restoring()
	moduleInfo.WithLabelValues(m.name, m.digest, string(m.guest.Tier()), restoring).Set(1)
	e.log.Info("module loaded", "controller", controller, "module", m.name, "digest", m.digest, "tier", string(m.guest.Tier()),
		"restoring", restoring, "because", why, "seconds", time.Since(start).Seconds())
}
