package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

const (
	// firstPause is how long a controller waits after a call that went wrong; each further one in a row doubles it, up
	// to lastPause.
	firstPause, lastPause = 10 * time.Millisecond, 10 * time.Second
	// reportedFailures is how many calls in a row go wrong before the log says that the controller is slowed down.
	reportedFailures = 5
)

// contained slows a controller down whose module keeps trapping or going over its limits: one call at a time, after a
// pause that grows. Each such call may cost all the fuel that it is allowed, and a controller with many objects would
// otherwise spend the host's time on calls that come to nothing. A call that ends well, or with an error of the
// module's own, ends it.
func contained(controller string, module reconcile.Module, log logr.Logger) reconcile.Module {
	failing.WithLabelValues(controller).Set(0)
	return &containment{controller: controller, module: module, log: log, turn: make(chan struct{}, 1)}
}

type containment struct {
	controller string
	module     reconcile.Module
	log        logr.Logger
	turn       chan struct{} // holds an item while a call of a slowed down controller runs

	mu       sync.Mutex
	failures int // in a row
	last     time.Time
}

// Call implements reconcile.Module.
func (c *containment) Call(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
	if c.pause() > 0 {
		leave, err := c.wait(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	response, err := c.module.Call(ctx, request, log)
	c.note(err)
	return response, err
}

// wait waits for the controller's turn and for its pause to end.
func (c *containment) wait(ctx context.Context) (leave func(), err error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = func() { <-c.turn }
	select {
	case <-time.After(c.pause()): // less than before, if the call before this one ended well
		return leave, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// pause returns how much longer the controller has to wait before its next call.
func (c *containment) pause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures == 0 {
		return 0
	}
	pause := min(lastPause, firstPause<<min(c.failures-1, 20))
	return max(pause-time.Since(c.last), 1)
}

// note counts calls that went wrong in a row.
func (c *containment) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var trap *guest.TrapError
	var limit *guest.LimitError
	if !errors.As(err, &trap) && !errors.As(err, &limit) {
		c.failures = 0
	} else {
		c.failures, c.last = c.failures+1, time.Now()
	}
	failing.WithLabelValues(c.controller).Set(float64(c.failures))
	if c.failures == reportedFailures {
		c.log.Error(err, "controller is slowed down: its module keeps going wrong", "controller", c.controller, "calls", c.failures)
	}
}
