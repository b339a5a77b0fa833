package engine

import (
	"context"
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
	module reconcile.Module
	// digest returns the module's as soon as it is known. nil: it never is.
	digest   func(ctx context.Context) (string, error)
	recorder reconcile.Recorder
	// opened is closed when what the controller needs is watched for the first time.
	opened chan struct{}
	// last are the reconcilers of the run before, which may have been that of another runner. Only one runs at a time.
	last dispatcher

	mu sync.Mutex
	// state is one of those below, and current are the reconcilers while it runs.
	state   string
	current dispatcher
}

// The states of a runner.
const (
	stateStandby  = "waiting for the lease"
	stateFetching = "fetching its module"
	stateWaiting  = "waiting for its kinds"
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
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := r.run(ctx, log); ctx.Err() == nil {
			log.Error(err, "controller does not run; trying again", "after", restartPause.String())
		}
	}, restartPause)
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
	for _, source := range []source.TypedSource[key]{follows, &resyncer{r.entry.Name, resync, reconcilers}} {
		if err := run.Watch(source); err != nil {
			return err
		}
	}
	if err := r.open(w, run, fors, reconcilers, watches, cancel); err != nil { //nolint:contextcheck // other controllers may share what is watched, and outlive this one
		return err
	}
	r.enter(stateRunning, reconcilers)
	running.WithLabelValues(r.entry.Name).Set(1)
	defer running.WithLabelValues(r.entry.Name).Set(0)
	if err := run.Start(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
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
	applier := apply.New(r.entry.Name, cache, r.engine.client, setup.ApplyOptions(&r.entry, owned))
	byKind := dispatcher{}
	for i, kind := range fors {
		controller, err := setup.Controller(&r.entry, i, kind, owned)
		if err != nil {
			return nil, err
		}
		controller.Selector, controller.Related.Reader = w.fors[i].selector, relatedFor{follows, kind.GroupVersionKind}
		if remembered != nil {
			controller.Outcomes = remembered
		}
		if w.fors[i].partial {
			controller.Live = r.engine.client.Get
		}
		byKind[kind.GroupVersionKind] = reconcile.New(controller, module, cache, applier, r.recorder)
	}
	return byKind, nil
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
	return controller.TypedOptions[key]{
		Reconciler:              reconcilers,
		MaxConcurrentReconciles: r.entry.Workers,
		RateLimiter:             backoff(),
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
}

// owned returns the kinds that children may have, as soon as the cluster serves all.
func (r *runner) owned(ctx context.Context, log logr.Logger) ([]reconcile.OwnedKind, error) {
	kinds, err := r.engine.kinds.wait(ctx, log, r.entry.Name, r.entry.OwnedKinds())
	if err != nil {
		return nil, err
	}
	return setup.Owned(&r.entry, kinds), nil
}
