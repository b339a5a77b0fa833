package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

const (
	// cacheTimeout is how long it may take to list all objects. It has all the time that it needs: a list that was given up would
	// begin from the start.
	cacheTimeout = 24 * time.Hour
	// predecessorTimeout is how long a write of a host that was killed may be on its way. The API server gives up what it does for a
	// client that is gone; what it has handed to its storage by then is there within this time.
	predecessorTimeout = 10 * time.Second
	// restartPause is the time between two tries to start a controller.
	restartPause = 5 * time.Second
)

// key names an object in a controller's queue. A controller may reconcile several kinds.
type key struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// runner runs the controller of one config entry. It implements manager.Runnable.
type runner struct {
	engine *Engine
	entry  config.Controller
	// account is whom the host acts as for the controller.
	account *account
	module  reconcile.Module
	// fingerprint says what it is apart from its module.
	fingerprint string
	// digest returns the module's as soon as it is known. nil: it never is.
	digest   func(ctx context.Context) (string, error)
	recorder reconcile.Recorder
	// alert records a Warning event about the account. nil: nobody is told.
	alert func(reason, message string)
	// replaces is true if it takes the place of one that has looked at the objects.
	replaces bool
	// opened is closed when what the controller needs is watched for the first time.
	opened chan struct{}
	// last are the reconcilers of the run before, which may have been that of another runner. Only one runs at a time.
	last dispatcher

	mu sync.Mutex
	// state is one of those below, and current are the reconcilers while it runs.
	state   string
	current dispatcher
	// trouble is why it does not run, if that is known.
	trouble string
}

// The states of a runner.
const (
	stateStandby  = "waiting for the lease"
	stateFetching = "fetching its module"
	stateWaiting  = "waiting for its kinds"
	stateFilling  = "filling its caches"
	stateLacking  = "lacking rights"
	stateRunning  = "running"
	stateStopped  = "not running"
)

// enter has another state, with the reconcilers that there are in it.
func (r *runner) enter(state string, current dispatcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state == stateRunning && r.opened != nil {
		close(r.opened)
		r.opened = nil
	}
	r.state, r.current = state, current
	if state == stateRunning {
		r.trouble = ""
	}
}

// awaitDigest waits until it is known which module the controller has.
func (r *runner) awaitDigest(ctx context.Context) (string, error) {
	if r.digest == nil {
		return "", nil
	}
	return r.digest(ctx)
}

// Start runs the controller until ctx is done. What keeps it from running is logged and tried again, since the other
// controllers must not suffer from it.
func (r *runner) Start(ctx context.Context) {
	log := r.engine.log.WithValues("controller", r.entry.Name)
	forbidden := &reminder{}
	defer lacking.WithLabelValues(r.entry.Name).Set(0)
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		err := r.run(ctx, log)
		if ctx.Err() != nil {
			return
		}
		r.blame(err, log, forbidden)
	}, restartPause)
}

// blame tells why the controller does not run. A right that it lacks may be lacking for long, so that it is not told of each
// time.
func (r *runner) blame(err error, log logr.Logger, said *reminder) {
	_, lacks := errors.AsType[*forbiddenError](err)
	lacking.WithLabelValues(r.entry.Name).Set(flag(lacks))
	r.mu.Lock()
	r.trouble = err.Error()
	if lacks {
		r.state = stateLacking
	}
	r.mu.Unlock()
	switch {
	case !lacks:
		log.Error(err, "controller does not run; trying again", "after", restartPause.String())
	case said.due(err.Error()):
		log.Error(err, "controller does not run before it has the rights that it lacks; wasmloop rbac prints those that a config needs")
		if r.alert != nil {
			r.alert("Forbidden", fmt.Sprintf("controller %s does not run: %v", r.entry.Name, err))
		}
	}
}

// reminder says from time to time that something is still so.
type reminder struct {
	message string
	said    time.Time
}

// due says whether a message is new, or was said long ago.
func (r *reminder) due(message string) bool {
	if message == r.message && time.Since(r.said) < kindReminder {
		return false
	}
	r.message, r.said = message, time.Now()
	return true
}

// run waits for what the controller needs, and then runs it.
func (r *runner) run(ctx context.Context, log logr.Logger) error {
	defer r.enter(stateStopped, nil)
	r.enter(stateFetching, nil)
	digest, err := r.awaitDigest(ctx)
	if err != nil {
		return err
	}
	r.enter(stateWaiting, nil)
	fors, err := r.engine.kinds.wait(ctx, log, r.entry.Name, r.entry.ForKinds())
	if err != nil {
		return err
	}
	owned, err := r.owned(ctx, log)
	if err != nil {
		return err
	}
	remembered := r.outcomes(digest, log)
	if remembered != nil {
		keeping, stop := context.WithCancel(ctx)
		kept := make(chan struct{})
		go func() { remembered.keep(keeping); close(kept) }()
		defer func() { stop(); <-kept }()
	}
	return r.work(ctx, fors, owned, remembered)
}

// work reconciles objects until ctx is done or one of the kinds goes.
func (r *runner) work(ctx context.Context, fors []reconcile.Kind, owned []reconcile.OwnedKind, remembered *outcomes) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resync, err := r.entry.Resync.Duration()
	if err != nil {
		return err
	}
	w, err := r.plan(ctx, fors, owned)
	if err != nil {
		return err
	}
	rights, err := r.engine.accounts.rightsOf(w.selections())
	if err != nil {
		return err
	}
	if err := r.account.review(ctx, rights); err != nil {
		return err
	}
	watches := kube.Watches{}
	defer watches.Close()
	follows := newRelated(ctx, r)
	defer follows.close()
	reconcilers, err := r.reconcilers(w, watches, fors, owned, remembered, follows)
	if err != nil {
		return err
	}
	run, err := controller.NewTypedUnmanaged(r.entry.Name, r.options(reconcilers))
	if err != nil {
		return err
	}
	follows.reconcilers = reconcilers
	reconcilers.inherit(r.last)
	r.last = reconcilers
	for _, source := range []source.TypedSource[key]{follows, &resyncer{r.entry.Name, resync, reconcilers}, heirs(reconcilers)} {
		if err := run.Watch(source); err != nil {
			return err
		}
	}
	sources, err := r.open(w, run, fors, reconcilers, watches, cancel) //nolint:contextcheck // other controllers may share what is watched, and outlive this one
	if err != nil {
		return err
	}
	if !r.account.own {
		go r.reviewAgain(ctx, rights, follows, cancel)
	}
	r.enter(stateFilling, nil)
	defer running.WithLabelValues(r.entry.Name).Set(0)
	var telling sync.WaitGroup
	telling.Go(func() { r.tellRunning(ctx, sources, reconcilers) })
	err = run.Start(ctx)
	if cause := context.Cause(ctx); cause != nil { // what it says of that is but a consequence
		err = cause
	}
	cancel(nil)
	telling.Wait()
	return err
}

// tellRunning says that the controller runs as soon as it does: when it has all that it watches.
func (r *runner) tellRunning(ctx context.Context, sources []*watchSource, reconcilers dispatcher) {
	for _, source := range sources {
		select {
		case <-source.filled:
		case <-ctx.Done():
			return
		}
	}
	r.enter(stateRunning, reconcilers)
	running.WithLabelValues(r.entry.Name).Set(1)
	lacking.WithLabelValues(r.entry.Name).Set(0)
}

// reviewInterval is how often rights to read are looked at again that somebody may have taken away: a watch goes on without.
const reviewInterval = time.Minute

// reviewAgain stops the controller when its account may not read what is watched any more.
func (r *runner) reviewAgain(ctx context.Context, rights []right, follows *related, stop func(error)) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		err := r.account.review(ctx, rights)
		if _, lacks := errors.AsType[*forbiddenError](err); lacks {
			stop(err)
			return
		}
		if err == nil {
			err = follows.review(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.engine.log.V(1).Info("rights cannot be looked at again now", "controller", r.entry.Name, "reason", err.Error())
		}
	}, cmp.Or(r.engine.reviewInterval, reviewInterval))
}

// outcomes opens the controller's outcomes, nil if none are kept. A controller runs without them, too.
func (r *runner) outcomes(digest string, log logr.Logger) *outcomes {
	if r.engine.cacheDir == "" || digest == "" || r.entry.Clock {
		return nil
	}
	remembered, err := openOutcomes(r.engine.cacheDir, r.entry, digest, log)
	if err != nil {
		log.Error(err, "outcomes are not remembered; each start takes longer")
		return nil
	}
	return remembered
}

// reconcilers returns a Reconciler for each of the kinds that are reconciled.
func (r *runner) reconcilers(w watches, cache kube.Watches, fors []reconcile.Kind, owned []reconcile.OwnedKind, remembered *outcomes, follows *related) (dispatcher, error) {
	module := measured(r.entry.Name, contained(r.entry.Name, r.engine.calls.of(r.entry.Name).counted(r.module), r.engine.log))
	applier := apply.New(r.entry.Name, cache, r.account.client, setup.ApplyOptions(&r.entry, owned))
	byKind := dispatcher{}
	for i, kind := range fors {
		controller, err := setup.Controller(&r.entry, i, kind, owned)
		if err != nil {
			return nil, err
		}
		controller.Tally, controller.Predecessor = tallyOf(r.entry.Name), predecessorTimeout
		controller.Selector, controller.Related.Reader = w.fors[i].selector, relatedFor{follows, kind.GroupVersionKind}
		if remembered != nil {
			controller.Outcomes = remembered
		}
		if w.fors[i].partial {
			controller.Live = r.account.client.Get
		}
		byKind[kind.GroupVersionKind] = reconcile.New(controller, module, cache, applier, r.recorder)
	}
	return byKind, nil
}

// patience is how long a reconcile may take before it is stuck.
func (r *runner) patience() time.Duration {
	timeout, err := r.entry.Limits.Timeout.Duration()
	if err != nil {
		return stuckAfter
	}
	// One whose module keeps going wrong may have to wait until all the others have had their turn.
	return stuckAfter + callsOfReconcile*timeout + time.Duration(r.entry.Workers)*(lastPause+timeout)
}

// watched has the engine know which reconciles run.
func (r *runner) watched(reconcilers dispatcher) crreconcile.TypedReconciler[key] {
	patience := r.patience()
	return crreconcile.TypedFunc[key](func(ctx context.Context, k key) (crreconcile.Result, error) {
		defer r.engine.progress.begin(r.entry.Name, k, patience)()
		return reconcilers.Reconcile(ctx, k)
	})
}

// dispatcher gives each object to the Reconciler of its kind. It is a controller-runtime reconciler.
type dispatcher map[schema.GroupVersionKind]*reconcile.Reconciler

// reconcileGrace is how long a reconcile may go on when its controller stops.
const reconcileGrace = 2 * time.Second

// Reconcile reconciles one object. When the controller stops it is given time to end, so that no write is left in doubt.
func (d dispatcher) Reconcile(ctx context.Context, k key) (crreconcile.Result, error) {
	patient, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(reconcileGrace, func() { cancel(context.Cause(ctx)) })
	})()
	return d[k.GroupVersionKind].Reconcile(patient, k.NamespacedName)
}

// inherit has the reconcilers wait for what those before them have written.
func (d dispatcher) inherit(before dispatcher) {
	for kind, reconciler := range d {
		if old := before[kind]; old != nil {
			reconciler.Inherit(old)
		}
	}
}

// seen tells all Reconcilers of an event of an owned kind, and returns the objects that it wakes.
func (d dispatcher) seen(object *kube.Object, gone bool) (woken []key) {
	for kind, reconciler := range d {
		for _, name := range reconciler.Seen(object, gone) {
			woken = append(woken, key{kind, name})
		}
	}
	return woken
}

func (r *runner) options(reconcilers dispatcher) controller.TypedOptions[key] {
	options := controller.TypedOptions[key]{
		Reconciler:              r.watched(reconcilers),
		MaxConcurrentReconciles: r.entry.Workers,
		RateLimiter:             backoff(),
		CacheSyncTimeout:        cacheTimeout,
		// Names are unique within a config, but a test may run several engines in one process.
		SkipNameValidation: new(true),
		Logger:             r.engine.log,
		LogConstructor: func(k *key) logr.Logger {
			log := r.engine.log.WithValues("controller", r.entry.Name)
			if k != nil {
				log = log.WithValues("kind", k.Kind, "object", k.NamespacedName.String())
			}
			return log
		},
	}
	if r.replaces {
		options.NewQueue = newPaced
	}
	return options
}

// owned returns the kinds that children may have, as soon as the cluster serves all.
func (r *runner) owned(ctx context.Context, log logr.Logger) ([]reconcile.OwnedKind, error) {
	kinds, err := r.engine.kinds.wait(ctx, log, r.entry.Name, r.entry.OwnedKinds())
	if err != nil {
		return nil, err
	}
	return setup.Owned(&r.entry, kinds), nil
}
