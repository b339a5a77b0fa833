package render

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// hostPause is the longest that the host itself waits while it is at work. Longer pauses are the module's.
const hostPause = 100 * time.Millisecond

// turn is one reconcile of one object.
type turn struct {
	outcome *Outcome
	result  crreconcile.Result
	err     error
}

// turnKey marks what is done in a turn.
type turnKey struct{}

// reconcile reconciles the objects of a wave. Until all of them are done, none of their writes is shown.
func (c *Cluster) reconcile(ctx context.Context, wave []kube.ID) {
	turns := make([]*turn, 0, len(wave))
	for _, id := range wave {
		outcome := c.outcome(id)
		if c.counts[id]++; c.counts[id] > c.options.MaxReconciles {
			outcome.Err = &FixedPointError{id, c.options.MaxReconciles}
			continue
		}
		outcome.Reconciles++
		turns = append(turns, &turn{outcome: outcome})
	}
	l := c.life
	inParallel(turns, l.take)
	if l.ctx.Err() != nil { // it was killed meanwhile
		if err := c.Restart(ctx); err != nil {
			turns[0].outcome.Err = err
		}
		return
	}
	for _, t := range turns {
		c.conclude(t)
	}
}

// inParallel does something with each of a list, on as many processors as there are.
func inParallel[T any](list []T, do func(T)) {
	if len(list) == 1 {
		do(list[0])
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				do(list[i])
			}
		})
	}
	workers.Wait()
}

// take has its turn.
func (l *life) take(t *turn) {
	id := t.outcome.ID
	ctx := context.WithValue(l.ctx, turnKey{}, t)
	t.result, t.err = l.reconcilers[id.GroupVersionKind].Reconcile(ctx, id.NamespacedName)
}

// conclude says what comes after a turn.
func (c *Cluster) conclude(t *turn) {
	l, id := c.life, t.outcome.ID
	t.outcome.Err = t.err
	delete(l.queue.due, id)
	after := t.result.RequeueAfter
	pause := after > 0 && after <= hostPause
	c.raced = c.raced || c.options.Wave > 1 && (pause || t.err != nil)
	switch {
	case errors.Is(t.err, crreconcile.TerminalError(nil)):
	case t.err != nil:
		c.retry(id)
	case pause:
		c.now = c.now.Add(after)
		l.queue.add(id)
	case after > 0:
		l.queue.due[id] = c.now.Add(after)
	}
	if t.err == nil {
		delete(l.failed, id)
	}
}

// Raced says whether something could have come out otherwise if the objects of a wave had been reconciled in another order.
func (c *Cluster) Raced() bool { return c.raced }

// retry has an object reconciled again that failed, unless nothing has changed since it last did: it would fail again.
func (c *Cluster) retry(id kube.ID) {
	version := c.server.Version()
	if last, failed := c.life.failed[id]; failed && last == version {
		return
	}
	c.life.failed[id] = version
	c.life.queue.add(id)
}

// FixedPointError says that an object never came to rest.
type FixedPointError struct {
	ID         kube.ID
	Reconciles int
}

// Error says which object.
func (e *FixedPointError) Error() string {
	return fmt.Sprintf("%s does not reach a fixed point: there was still something to do after %d reconciles", e.ID, e.Reconciles)
}

// fueled is a module that says how much fuel a call has used.
type fueled interface {
	CallFuel(ctx context.Context, request []byte, log func(abi.Level, string)) (response []byte, fuel uint64, err error)
}

// observer calls the module, and notes what it answers.
type observer struct{ module reconcile.Module }

// Call implements reconcile.Module.
func (o observer) Call(ctx context.Context, request []byte, log func(abi.Level, string)) (response []byte, err error) {
	outcome := ctx.Value(turnKey{}).(*turn).outcome
	outcome.Calls++
	outcome.answered(request, nil)
	note := func(level abi.Level, line string) {
		outcome.Logs = append(outcome.Logs, Line{level, line})
		log(level, line)
	}
	if module, ok := o.module.(fueled); ok {
		var fuel uint64
		response, fuel, err = module.CallFuel(ctx, request, note)
		outcome.Fuel += fuel
	} else {
		response, err = o.module.Call(ctx, request, note)
	}
	if err != nil {
		return nil, err
	}
	outcome.answered(request, response)
	outcome.remember(response)
	return response, nil
}

// recorder notes events.
type recorder struct{ cluster *Cluster }

// Event implements reconcile.Recorder.
func (r recorder) Event(object *kube.Object, eventType, reason, message string) {
	outcome := r.cluster.outcomes[object.ID()] // it has had a turn, or there were no event
	event := abi.Event{Type: eventType, Reason: reason, Message: message}
	if !slices.Contains(outcome.Events, event) {
		outcome.Events = append(outcome.Events, event)
	}
}
