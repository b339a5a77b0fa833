package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/discovery"
)

const (
	// stuckAfter is how long a reconcile may take, beside the calls of its module, before the host is taken for one that does
	// not work any more and should be started anew. Everything in it has bounds of its own that are much lower.
	stuckAfter = 10 * time.Minute
	// callsOfReconcile is how often a reconcile calls its module at the most.
	callsOfReconcile = 5
	// askedAgain is how long an answer of the API server to a probe holds, and probeTimeout how long it may take.
	askedAgain, probeTimeout = 5 * time.Second, 3 * time.Second
)

// progress knows which reconciles run.
type progress struct {
	mu   sync.Mutex
	runs map[*run]bool
}

// run is a reconcile that runs.
type run struct {
	controller string
	of         key
	since      time.Time
	patience   time.Duration
}

// begin notes that a reconcile has begun. It has ended when end is called.
func (p *progress) begin(controller string, of key, patience time.Duration) (end func()) {
	begun := &run{controller, of, time.Now(), patience}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		p.runs = map[*run]bool{}
	}
	p.runs[begun] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.runs, begun)
	}
}

// stuck returns an error that names a reconcile which does not end, nil if there is none.
func (p *progress) stuck(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for begun := range p.runs {
		if took := now.Sub(begun.since); took > begun.patience {
			return fmt.Errorf("a reconcile of controller %s does not end: %s %s, for %s", begun.controller, begun.of.Kind, begun.of.NamespacedName, took.Round(time.Second))
		}
	}
	return nil
}

// healthy is the liveness check: no reconcile is stuck.
func (e *Engine) healthy(*http.Request) error { return e.progress.stuck(time.Now()) }

// ready is the readiness check of the caches: those that are in use are filled.
func (e *Engine) ready(*http.Request) error {
	if !e.accounts.synced() {
		return errors.New("caches are not filled yet")
	}
	return nil
}

// supplied is the readiness check of the modules: each is loaded, or it is known why not. So a host that waits for the lease can
// work as soon as it gets it, and the one before is not ended any earlier. What a later config brings changes nothing about it: the
// modules before go on.
func (e *Engine) supplied(*http.Request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.equipped {
		return nil
	}
	for name, s := range e.modules {
		if s.Version().Pending {
			return fmt.Errorf("module %s is not loaded yet", name)
		}
	}
	e.equipped = true
	return nil
}

// probe asks whether the API server is ready, when it is itself asked.
type probe struct {
	discovery discovery.DiscoveryInterface

	mu    sync.Mutex
	asked time.Time
	last  error
}

// check is the readiness check of the API server.
func (p *probe) check(request *http.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.asked) < askedAgain {
		return p.last
	}
	// One who asks and goes away is no reason to take the API server for one that does not answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), probeTimeout)
	defer cancel()
	p.last = p.discovery.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	if p.last != nil {
		p.last = fmt.Errorf("the API server is not ready, or cannot be reached: %w", p.last)
	}
	p.asked = time.Now()
	return p.last
}
