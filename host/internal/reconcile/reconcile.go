// Package reconcile brings the cluster to what a module wants for one object: gather what the module may know, call it,
// apply its answer, report. The same code runs in the cluster, on the command line and in tests.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Module answers an encoded request with an encoded response. Its errors may have a method Terminal() bool that says
// whether another try with the same request is of no use.
type Module interface {
	Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) (response []byte, err error)
}

// ModuleFunc is a function that is a Module.
type ModuleFunc func(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error)

// Call calls f.
func (f ModuleFunc) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error) {
	return f(ctx, request, log)
}

// Recorder records events on objects.
type Recorder interface {
	Event(object *kube.Object, eventType, reason, message string)
}

// Kind is a kind as the cluster serves it.
type Kind struct {
	schema.GroupVersionKind
	// Namespaced is true if its objects live in namespaces.
	Namespaced bool
	// Status says how it has its status.
	Status apply.StatusOptions
}

// OwnedKind is a kind that children may have.
type OwnedKind struct {
	Kind
	// Namespaces are the namespaces beside the object's own that children may be in; AllNamespaces stands for all. If
	// there are none, the children of a cluster-scoped object may be anywhere.
	Namespaces []string
	// View is what the module sees of a child. Whether a child is as it should be is found out from all of it.
	View View
	// Options say how the children are kept.
	Options apply.KindOptions
}

// AllNamespaces stands for all namespaces.
const AllNamespaces = "*"

// Controller says what is reconciled, and how.
type Controller struct {
	// Name is the controller's name in the config.
	Name string
	// For is the kind of the reconciled objects.
	For Kind
	// Selector says which objects of For are reconciled.
	Selector Selector
	// View is what the module sees of an object.
	View View
	// Live reads an object of For from the API server, if the cache has not all of it. nil: the cache has.
	Live func(ctx context.Context, id kube.ID) (*kube.Object, error)
	// Owns are the kinds that children may have.
	Owns []OwnedKind
	// Related says which other objects the module may see.
	Related RelatedOptions
	// Clock is true if the module is told the time.
	Clock bool
	// Finalize is true if the module is asked what is to be done before an object goes.
	Finalize bool
	// Settings are handed to the module: a JSON object.
	Settings json.RawMessage
	// Schedule says when the module is called though nothing happened. nil: never. It needs Clock.
	Schedule Schedule
	// MinInterval is the least time between two calls of the module for one object. 0: none.
	MinInterval time.Duration
	// Outcomes remembers outcomes when the process ends. nil: they are forgotten.
	Outcomes Outcomes
	// Resync is the time after which an object is looked at again though nothing happened. 0: never.
	Resync time.Duration
	// Predecessor is how long after New writes may still arrive of a host before this one. Until then no object is let go that may
	// have children which would stay. 0: there was none.
	Predecessor time.Duration
	// Tally is told what is worth counting. nil: nobody is.
	Tally Tally
	// Now is the time that modules are told, and that is written into conditions. nil: time.Now.
	Now func() time.Time
}

// Tally counts what happens. It is safe for concurrent use.
type Tally interface {
	// Skipped is told of each reconcile that needed no call of the module.
	Skipped()
	// Pruned is told how many children a reconcile has deleted that were not wanted any more.
	Pruned(children int)
}

type noTally struct{}

func (noTally) Skipped()   {}
func (noTally) Pruned(int) {}

// Schedule says when something is due next after a time.
type Schedule interface {
	Next(after time.Time) time.Time
}

// Reconciler reconciles the objects of one kind for one controller. It is safe for concurrent use, for different
// objects.
type Reconciler struct {
	controller Controller
	module     Module
	reader     Reader
	applier    *apply.Applier
	recorder   Recorder
	now        func() time.Time
	started    time.Time
	memory     memory
	// dependencies know which objects are to be woken by which related ones.
	dependencies dependencies
}

// New returns a Reconciler. reader is a cache of the kinds in controller, with IndexKeys as its index.
func New(controller Controller, module Module, reader Reader, applier *apply.Applier, recorder Recorder) *Reconciler {
	r := &Reconciler{
		controller: controller, module: module, reader: reader, applier: applier, recorder: recorder, now: time.Now, started: time.Now(),
	}
	if controller.Tally == nil {
		r.controller.Tally = noTally{}
	}
	if controller.Now != nil {
		r.now = controller.Now
	}
	return r
}

// Reconcile brings the cluster to what the module wants for the object of this name. Whatever goes wrong before the
// module's answer is understood, nothing is written.
func (r *Reconciler) Reconcile(ctx context.Context, name types.NamespacedName) (reconcile.Result, error) {
	object, err := r.get(ctx, name)
	if err != nil {
		return reconcile.Result{}, err
	}
	leaves, err := r.leaves(ctx, object)
	if err != nil {
		return reconcile.Result{}, err
	}
	if wait, err := r.sweep(ctx, name, object); wait > 0 || err != nil {
		return reconcile.Result{RequeueAfter: wait}, err
	}
	if object == nil || leaves && !r.holds(object) {
		r.letGo(ctx, name, object)
		return reconcile.Result{}, nil
	}
	if r.memory.meet(name, object.UID) {
		r.dependencies.forgetAll(name)
	}
	if wait := r.unseenWrites(ctx, name); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	// Read again, or else the object could be older than what has just been seen of our own writes to it.
	if object, err = r.get(ctx, name); err != nil || object == nil {
		return reconcile.Result{}, err
	}
	return r.look(ctx, name, object)
}

// look reconciles an object unless it is as the last outcome left it, or goes without the module.
func (r *Reconciler) look(ctx context.Context, name types.NamespacedName, object *kube.Object) (reconcile.Result, error) {
	leaves, err := r.leaves(ctx, object)
	if err != nil {
		return reconcile.Result{}, err
	}
	observed, err := r.gather(ctx, object)
	if err != nil {
		return reconcile.Result{}, err
	}
	observed.finalizing = leaves
	if object.Deleting && r.holds(object) {
		r.memory.goes(name)
	}
	switch {
	case !leaves || r.controller.Finalize:
	case object.Deleting:
		return r.cleanUp(ctx, name, observed)
	default: // it keeps the finalizer, since its children stay
		r.letGo(ctx, name, object)
		return reconcile.Result{}, nil
	}
	if err := r.relate(ctx, name, observed, r.dependencies.asked(name)); err != nil {
		return r.failed(ctx, name, observed, faultOf(reasonRelatedFailed, err))
	}
	if due, converged := r.memory.converged(name, observed.fingerprint(), r.dueAt()); converged {
		r.controller.Tally.Skipped()
		return r.rest(due), nil
	}
	if wait := r.memory.tooSoon(name, r.now(), r.controller.MinInterval); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	return r.reconcile(ctx, name, observed)
}

// leaves says whether an object is being deleted, or is not selected any more.
func (r *Reconciler) leaves(ctx context.Context, object *kube.Object) (bool, error) {
	if object == nil || object.Deleting {
		return object != nil, nil
	}
	selected, err := r.selects(ctx, object)
	return !selected, err
}

// dueAt is the time that a due requeue is measured by. Without a clock nothing is ever due: the same request would have
// the same answer.
func (r *Reconciler) dueAt() time.Time {
	if r.controller.Clock {
		return r.now()
	}
	return time.Time{}
}

// reconcile calls the module and carries out its answer.
func (r *Reconciler) reconcile(ctx context.Context, name types.NamespacedName, observed *observation) (reconcile.Result, error) {
	if r.controller.Finalize && !r.holds(observed.object) && !observed.finalizing {
		return r.hold(ctx, name, observed)
	}
	response, identity, fault := r.answer(ctx, name, observed)
	if response == nil && fault == nil {
		r.controller.Tally.Skipped()
		return r.settle(name, observed, identity, r.dueAfter(r.resync())), nil
	}
	if fault == nil && r.mustHold(observed, response) {
		result, err := r.hold(ctx, name, observed)
		if err == nil {
			r.memory.called(name, time.Time{}) // nothing else follows from this call, so that the next one need not wait
		}
		return result, err
	}
	if fault == nil {
		fault = r.carryOut(ctx, name, observed, response)
	}
	if fault != nil {
		r.noteOutcome(name, identity, false)
		return r.failed(ctx, name, observed, fault)
	}
	for _, event := range response.Events {
		r.event(name, observed.object, event)
	}
	if observed.finalizing && response.Finalized {
		return r.cleanUp(ctx, name, observed)
	}
	open := r.memory.open(name)
	r.noteOutcome(name, identity, !open && len(response.Events) == 0)
	due := r.dueAfter(r.requeueAfter(response))
	if open {
		r.memory.settle(name, "", Identity{}, due)
		result := r.rest(due)
		if wait := r.memory.unsure(name); wait > 0 && (result.RequeueAfter == 0 || wait < result.RequeueAfter) {
			result.RequeueAfter = wait
		}
		return result, nil
	}
	return r.settle(name, observed, identity, due), nil
}

// settle remembers that the outcome of an observation is fully applied.
func (r *Reconciler) settle(name types.NamespacedName, observed *observation, identity Identity, due time.Time) reconcile.Result {
	r.memory.settle(name, observed.fingerprint(), identity, due)
	return r.rest(due)
}

// failed says what comes after a fault: another try, or none.
func (r *Reconciler) failed(ctx context.Context, name types.NamespacedName, observed *observation, fault *fault) (reconcile.Result, error) {
	conflicts := r.memory.unsettle(name, fault.conflict)
	if fault.conflict && conflicts <= maxConflicts {
		logr.FromContextOrDiscard(ctx).V(1).Info("trying again: the cache was behind", "conflict", fault.Error())
		return reconcile.Result{RequeueAfter: conflictPause}, nil
	}
	if observed.finalizing {
		fault.err = &heldError{fault.err, apply.Finalizer(r.controller.Name)}
	}
	return reconcile.Result{}, r.report(name, observed.object, fault)
}

// requeueAfter returns when to look at an object again: at what comes first of what the module asks for, the schedule and the
// resync. 0 stands for never.
func (r *Reconciler) requeueAfter(response *abi.Response) time.Duration {
	soonest := r.resync()
	due := []time.Duration{time.Duration(response.RequeueAfter)}
	if r.controller.Schedule != nil {
		due = append(due, r.controller.Schedule.Next(r.now()).Sub(r.now()))
	}
	for _, after := range due {
		if after > 0 && (soonest == 0 || after < soonest) {
			soonest = after
		}
	}
	return soonest
}

func (r *Reconciler) get(ctx context.Context, name types.NamespacedName) (*kube.Object, error) {
	object, err := r.reader.Get(ctx, kube.ID{GroupVersionKind: r.controller.For.GroupVersionKind, NamespacedName: name})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s %s: %w", r.controller.For.Kind, name, err)
	}
	return object, nil
}

// letGo forgets an object that is gone or not selected any more, and leaves one alone that is going: its children go by
// their owner references.
func (r *Reconciler) letGo(ctx context.Context, name types.NamespacedName, object *kube.Object) {
	log := logr.FromContextOrDiscard(ctx)
	if object != nil && object.Deleting {
		log.V(1).Info("object is being deleted; nothing is applied to it any more")
		return
	}
	if r.remembers() {
		r.controller.Outcomes.Unsettled(r.controller.For, name)
	}
	r.dependencies.forgetAll(name)
	switch known := r.memory.forget(name); { // the events of its children going come here too
	case known && object == nil:
		log.Info("object is gone, or not selected any more")
	case known:
		log.Info("object is not selected any more; its children stay as they are")
	}
}

// report turns a fault into an event, and into what the queue understands.
func (r *Reconciler) report(name types.NamespacedName, object *kube.Object, fault *fault) error {
	if fault.reason != "" {
		r.event(name, object, abi.Event{Type: abi.EventWarning, Reason: fault.reason, Message: fault.Error()})
	}
	if fault.terminal() || r.unchangeable(fault) {
		return reconcile.TerminalError(fault)
	}
	return fault
}

// unchangeable says whether another try with the same request is bound to end in the same fault, since the answer is a
// function of the request.
func (r *Reconciler) unchangeable(fault *fault) bool {
	return fault.reason == reasonInvalidResponse && !r.controller.Clock
}

// fault is why an object could not be reconciled.
type fault struct {
	// reason is the reason of the event that tells of it; empty if it is not worth one.
	reason string
	err    error
	// conflict is true if nothing is wrong but that the cache was behind what is written.
	conflict bool
}

const (
	// conflictPause is how long to wait after a conflict for the cache to catch up.
	conflictPause = 50 * time.Millisecond
	// maxConflicts is how many conflicts in a row are taken for a slow cache. More are an error like others.
	maxConflicts = 20
)

// The reasons of the host's own events.
const (
	reasonModuleFailed    = "ModuleFailed"
	reasonInvalidResponse = "InvalidResponse"
	reasonApplyFailed     = "ApplyFailed"
	reasonPruneFailed     = "PruneFailed"
	reasonStatusFailed    = "StatusFailed"
	reasonFinalizeFailed  = "FinalizeFailed"
	reasonRelatedFailed   = "RelatedFailed"
)

// Error returns the error underneath.
func (f *fault) Error() string { return f.err.Error() }

// Unwrap returns the error underneath.
func (f *fault) Unwrap() error { return f.err }

func (f *fault) terminal() bool {
	var terminal interface{ Terminal() bool }
	return errors.As(f.err, &terminal) && terminal.Terminal()
}
