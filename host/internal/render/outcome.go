package render

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Outcome is what came of one reconciled object so far.
type Outcome struct {
	ID kube.ID
	// Reconciles and Calls count the reconciles of the object, and the calls of the module for it.
	Reconciles, Calls int
	// Fuel is what the calls have used.
	Fuel uint64
	// Events are the events on the object, each once, and Logs what the module has logged about it.
	Events []abi.Event
	Logs   []Line
	// Request and Response are those of the last call, encoded. Response is nil if the module failed.
	Request, Response []byte
	// History are the last different responses, the newest last, but for a response that repeats the one before.
	History [][]byte
	// Err is why the last reconcile failed, nil if it did not.
	Err error

	// answer is Response decoded, nil if that is impossible, and decoded whether it was tried.
	answer  *abi.Response
	decoded bool
}

// answered notes a call. No response means that it failed.
func (o *Outcome) answered(request, response []byte) {
	o.Request, o.Response, o.answer, o.decoded = request, response, nil, false
}

// Line is a line that a module has logged.
type Line struct {
	Level abi.Level
	Text  string
}

// historyLength is how many responses are remembered.
const historyLength = 12

func (o *Outcome) remember(response []byte) {
	if n := len(o.History); n > 0 && bytes.Equal(o.History[n-1], response) {
		return
	}
	o.History = append(o.History, response)
	if len(o.History) > historyLength {
		o.History = o.History[1:]
	}
}

// Circle is how many different answers the module goes round in, 0 if its last one was not given before.
func (o *Outcome) Circle() int {
	last := len(o.History) - 1
	for i := last - 1; i >= 0; i-- {
		if bytes.Equal(o.History[i], o.History[last]) {
			return last - i
		}
	}
	return 0
}

// Answer is the last answer of the module, nil if there was none or if it made no sense.
func (o *Outcome) Answer() *abi.Response {
	if !o.decoded && o.Response != nil {
		o.decoded = true
		if answer, err := abi.DecodeResponse(o.Response); err == nil {
			o.answer = answer
		}
	}
	return o.answer
}

func (c *Cluster) outcome(id kube.ID) *Outcome {
	known := c.outcomes[id]
	if known == nil {
		known = &Outcome{ID: id}
		c.outcomes[id] = known
	}
	return known
}

// Outcomes returns what came of each reconciled object.
func (c *Cluster) Outcomes() []*Outcome {
	all := make([]*Outcome, 0, len(c.outcomes))
	for _, id := range sortedIDs(c.outcomes) {
		all = append(all, c.outcomes[id])
	}
	return all
}

// Failure is who is to blame for a failed reconcile.
type Failure int

// The failures.
const (
	// None: all is well.
	None Failure = iota
	// ModuleFailed: the module reported an error, trapped, went over a limit or never comes to rest.
	ModuleFailed
	// InvalidResponse: the module's answer is not as the protocol has it.
	InvalidResponse
	// NotApplied: the answer cannot be carried out.
	NotApplied
)

// Failure says what kind of failure the last reconcile ended in.
func (o *Outcome) Failure() Failure {
	var (
		module *guest.ModuleError
		limit  *guest.LimitError
		trap   *guest.TrapError
		rest   *FixedPointError
	)
	switch {
	case o.Err == nil:
		return None
	case errors.As(o.Err, &module), errors.As(o.Err, &limit), errors.As(o.Err, &trap), errors.As(o.Err, &rest):
		return ModuleFailed
	case o.Answer() != nil && o.Answer().Error != nil:
		return ModuleFailed
	case o.has("InvalidResponse"):
		return InvalidResponse
	case o.Response == nil && o.Request != nil:
		return ModuleFailed
	default:
		return NotApplied
	}
}

// OutOfBounds says whether the module trapped or went over a limit.
func (o *Outcome) OutOfBounds() bool {
	_, limit := errors.AsType[*guest.LimitError](o.Err)
	_, trap := errors.AsType[*guest.TrapError](o.Err)
	return limit || trap
}

// has says whether the host's last word is an event of this reason.
func (o *Outcome) has(reason string) bool {
	return slices.ContainsFunc(o.Events, func(event abi.Event) bool {
		return event.Reason == reason && event.Type == abi.EventWarning && event.Message == o.message()
	})
}

// message returns the error without what is only for the queue.
func (o *Outcome) message() string {
	err := o.Err
	if errors.Is(err, crreconcile.TerminalError(nil)) {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// Problem returns the error of the last reconcile as people want to see it, nil if there was none.
func (o *Outcome) Problem() error {
	if o.Err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s", o.ID, o.message())
}

// RequeueAfter is the time after which the module asks to be called again, 0 if it does not.
func (o *Outcome) RequeueAfter() time.Duration {
	if o.Answer() == nil {
		return 0
	}
	return time.Duration(o.Answer().RequeueAfter)
}
