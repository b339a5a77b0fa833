package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
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
	module *module
}

// NeedLeaderElection is true: only one host may write.
func (r *runner) NeedLeaderElection() bool { return true }

// Start runs the controller until ctx is done. What keeps it from running is logged and tried again, since the other
// controllers must not suffer from it.
func (r *runner) Start(ctx context.Context) error {
	log := r.engine.log.WithValues("controller", r.entry.Name)
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := r.run(ctx, log); ctx.Err() == nil {
			log.Error(err, "controller does not run; trying again", "after", restartPause.String())
		}
	}, restartPause)
	return nil
}

func (r *runner) run(ctx context.Context, log logr.Logger) error {
	fors, err := r.engine.kinds.wait(ctx, log, r.entry.ForKinds())
	if err != nil {
		return err
	}
	owned, err := r.owned(ctx, log)
	if err != nil {
		return err
	}
	remembered := r.outcomes(log)
	if remembered != nil {
		keeping, stop := context.WithCancel(ctx)
		kept := make(chan struct{})
		go func() { remembered.keep(keeping); close(kept) }()
		defer func() { stop(); <-kept }()
	}
	follows := &related{Cache: r.engine.cache, runner: r, ctx: ctx, followed: map[schema.GroupVersionKind]*followedKind{}}
	reconcilers, err := r.reconcilers(fors, owned, remembered, follows)
	if err != nil {
		return err
	}
	run, err := controller.NewTypedUnmanaged(r.entry.Name, r.options(reconcilers))
	if err != nil {
		return err
	}
	follows.run, follows.reconcilers = run, reconcilers
	if err := r.watch(ctx, run, fors, owned, reconcilers); err != nil {
		return err
	}
	return run.Start(ctx)
}

// outcomes opens the controller's outcomes, nil if none are kept. A controller runs without them, too.
func (r *runner) outcomes(log logr.Logger) *outcomes {
	if r.engine.cacheDir == "" || r.module.digest == "" || r.entry.Clock {
		return nil
	}
	remembered, err := openOutcomes(r.engine.cacheDir, r.entry, r.module.digest, log)
	if err != nil {
		log.Error(err, "outcomes are not remembered; each start takes longer")
		return nil
	}
	return remembered
}

// reconcilers returns a Reconciler for each of the kinds that are reconciled.
func (r *runner) reconcilers(fors []reconcile.Kind, owned []reconcile.OwnedKind, remembered *outcomes, follows *related) (dispatcher, error) {
	times, err := timesOf(&r.entry)
	if err != nil {
		return nil, err
	}
	options := apply.Options{
		Adopt: r.entry.Adopt, MaxPrune: r.entry.Prune.MaxPerReconcile, Kinds: map[schema.GroupVersionKind]apply.KindOptions{},
	}
	for _, kind := range owned {
		options.Kinds[kind.GroupVersionKind] = kind.Options
	}
	applier := apply.New(r.entry.Name, r.engine.cache, r.engine.client, options)
	byKind := dispatcher{}
	for i, kind := range fors {
		selector, err := selectorFor(&r.entry.For[i])
		if err != nil {
			return nil, err
		}
		controller := reconcile.Controller{
			Name:     r.entry.Name,
			For:      kind,
			Selector: selector,
			View:     reconcile.View(r.entry.For[i].View),
			Owns:     owned,
			Related:  follows.options(r.entry.Related),
			Clock:    r.entry.Clock,
			Finalize: r.entry.Finalize,
			Settings: r.entry.Settings,
			Resync:   times.resync, MinInterval: times.minInterval, Schedule: times.schedule,
		}
		if remembered != nil {
			controller.Outcomes = remembered
		}
		byKind[kind.GroupVersionKind] = reconcile.New(controller, measured(r.entry.Name, contained(r.entry.Name, r.engine.idler.watching(r.module), r.engine.log)), r.engine.cache, applier, r.engine.events.recorder(r.entry.Name))
	}
	return byKind, nil
}

// dispatcher gives each object to the Reconciler of its kind. It is a controller-runtime reconciler.
type dispatcher map[schema.GroupVersionKind]*reconcile.Reconciler

// Reconcile reconciles one object.
func (d dispatcher) Reconcile(ctx context.Context, k key) (crreconcile.Result, error) {
	return d[k.GroupVersionKind].Reconcile(ctx, k.NamespacedName)
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

// watch has the controller woken by events of the objects that it reconciles and of their children.
func (r *runner) watch(ctx context.Context, run controller.TypedController[key], fors []reconcile.Kind, owned []reconcile.OwnedKind, reconcilers dispatcher) error {
	for _, kind := range fors {
		if err := run.Watch(r.engine.source(ctx, kind.GroupVersionKind, forHandler())); err != nil {
			return fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
		}
	}
	if r.selectsNamespaces() {
		if err := run.Watch(r.watchNamespaces(ctx, fors)); err != nil {
			return fmt.Errorf("cannot watch namespaces: %w", err)
		}
	}
	for _, kind := range owned {
		if err := run.Watch(r.engine.source(ctx, kind.GroupVersionKind, ownedHandler(fors, reconcilers.seen))); err != nil {
			return fmt.Errorf("cannot watch %s: %w", kind.Kind.Kind, err)
		}
	}
	return nil
}

// owned returns the kinds that children may have, as soon as the cluster serves all.
func (r *runner) owned(ctx context.Context, log logr.Logger) ([]reconcile.OwnedKind, error) {
	kinds, err := r.engine.kinds.wait(ctx, log, r.entry.OwnedKinds())
	if err != nil {
		return nil, err
	}
	owned := make([]reconcile.OwnedKind, len(kinds))
	for i, entry := range r.entry.Owns {
		owned[i] = reconcile.OwnedKind{Kind: kinds[i], Namespaces: entry.Namespaces, View: reconcile.View(entry.View), Options: apply.KindOptions{
			Strategy:      apply.Strategy(entry.UpdateStrategy),
			Orphan:        entry.Prune.Orphan,
			NotController: entry.OwnerReference == config.OwnerReferenceOwner,
		}}
	}
	return owned, nil
}
