package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// module is a module of the config in one version, as one controller calls it. It implements reconcile.Module.
type module struct {
	name       string
	controller string
	limits     guest.Limits
	// recorder takes each call; nil: none does.
	recorder *callRecorder

	// fetched is closed when digest is known or err is set, and loaded when guest or err is set. Who has not seen that reads
	// none of them.
	fetched chan struct{}
	digest  string
	loaded  chan struct{}
	guest   *guest.Module
	// err is why guest is nil.
	err error

	mu     sync.Mutex // of guest while it is loaded, and of closed
	closed bool
}

// newModule returns a module that is yet to be fetched and loaded.
func (e *Engine) newModule(name string, controller *config.Controller, entry config.Module) *module {
	return &module{
		name: name, controller: controller.Name, recorder: e.callRecorder(controller, entry),
		fetched: make(chan struct{}), loaded: make(chan struct{}),
	}
}

// Call calls the module, as soon as it is loaded.
func (m *module) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error) {
	if err := m.await(ctx, m.loaded); err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, m.err
	}
	start := time.Now()
	result, err := m.guest.Call(ctx, request, log)
	ended := outcome(err)
	fuelTotal.WithLabelValues(m.name).Add(float64(result.Fuel))
	callFuel.WithLabelValues(m.controller, ended).Observe(float64(result.Fuel))
	callMemory.WithLabelValues(m.controller, ended).Observe(float64(result.Memory))
	if m.recorder != nil && ctx.Err() == nil {
		m.recorder.record(start, request, result, err)
	}
	return result.Response, err
}

// digestOf returns the module's digest, as soon as it is fetched.
func (m *module) digestOf(ctx context.Context) (string, error) {
	if err := m.await(ctx, m.fetched); err != nil {
		return "", err
	}
	return m.digest, nil
}

func (*module) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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

// Terminal says whether trying again does not load the module either.
func (e *notLoadedError) Terminal() bool {
	load, ok := errors.AsType[*guest.LoadError](e.cause)
	return !ok || !load.Temporary()
}

// lasts says whether an error is about modules that cannot be loaded, by what they are, and nothing else.
func lasts(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(all.Unwrap(), func(each error) bool { return !lasts(each) })
	}
	broken, ok := errors.AsType[*notLoadedError](err)
	return ok && broken.Terminal()
}
