package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// module is a module of the config. It implements reconcile.Module.
type module struct {
	name   string
	digest string
	guest  *guest.Module
	// err is why guest is nil.
	err error
}

// Call calls the module.
func (m *module) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error) {
	if m.err != nil {
		return nil, m.err
	}
	result, err := m.guest.Call(ctx, request, log)
	fuelTotal.WithLabelValues(m.name).Add(float64(result.Fuel))
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

// loadModules loads the module of each controller. Controllers of one module share what it takes.
func (e *Engine) loadModules(ctx context.Context) {
	e.modules = map[string]*module{}
	for _, controller := range e.config.Controllers {
		e.modules[controller.Name] = e.loadModule(ctx, controller.Name, controller.Module)
	}
	// Compiling takes far more memory than all that comes after it; what it leaves behind would stay resident for long.
	debug.FreeOSMemory()
}

func (e *Engine) loadModule(ctx context.Context, controller, name string) *module {
	start, entry := time.Now(), e.config.Modules[name]
	m := &module{name: name}
	if err := m.load(ctx, e.runtime, entry); err != nil {
		m.err = &notLoadedError{name, err}
		e.log.Error(err, "module cannot be loaded; its controllers say so on each object, the others go on",
			"controller", controller, "module", name, "source", entry.Source)
		return m
	}
	restoring, why := m.guest.Restoring()
	moduleInfo.WithLabelValues(name, m.digest, string(m.guest.Tier()), restoring).Set(1)
	e.log.Info("module loaded", "controller", controller, "module", name, "digest", m.digest, "tier", string(m.guest.Tier()),
		"restoring", restoring, "because", why, "seconds", time.Since(start).Seconds())
	return m
}

func (m *module) load(ctx context.Context, runtime *guest.Runtime, entry config.Module) error {
	limits, err := guestLimits(entry.Limits)
	if err != nil {
		return err
	}
	fetched, err := source.Fetch(ctx, entry.Source)
	if err != nil {
		return err
	}
	m.digest = fetched.Digest
	m.guest, err = runtime.Load(ctx, fetched.Bytes, limits, guest.Isolation(entry.Isolation))
	return err
}

// guestLimits translates the config's limits, which were validated.
func guestLimits(limits config.Limits) (guest.Limits, error) {
	var errs []error
	number := func(n int64, err error) int64 {
		errs = append(errs, err)
		return n
	}
	timeout, err := limits.Timeout.Duration()
	translated := guest.Limits{
		Memory:   uint64(number(limits.Memory.Bytes())),
		Table:    uint32(number(limits.Tables.Units())),
		Fuel:     uint64(number(limits.Fuel.Units())),
		Timeout:  timeout,
		Request:  uint64(number(limits.Request.Bytes())),
		Response: uint64(number(limits.Response.Bytes())),
		LogLines: int(number(limits.LogLines.Units())),
		LogBytes: int(number(limits.LogBytes.Bytes())),
	}
	return translated, errors.Join(append(errs, err)...)
}
