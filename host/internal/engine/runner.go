package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

const (
	// A reconcile that fails is tried again after the first of these, then twice as long each time up to the second.
	firstRetry, lastRetry = 10 * time.Millisecond, 5 * time.Minute
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
	fors, err := r.engine.kinds.wait(ctx, log, r.entry.For)
	if err != nil {
		return err
	}
	owned, err := r.engine.kinds.wait(ctx, log, r.entry.Owns)
	if err != nil {
		return err
	}
	reconcilers, err := r.reconcilers(fors, owned)
	if err != nil {
		return err
	}
	run, err := controller.NewTypedUnmanaged(r.entry.Name, r.options(reconcilers))
	if err != nil {
		return err
	}
	if err := r.watch(ctx, run, fors, owned, reconcilers); err != nil {
		return err
	}
	return run.Start(ctx)
}

// reconcilers returns a Reconciler for each of the kinds that are reconciled.
func (r *runner) reconcilers(fors, owned []reconcile.Kind) (dispatcher, error) {
	resync, err := r.entry.Resync.Duration()
	if err != nil {
		return nil, err
	}
	mgr := r.engine.manager
	applier := apply.New(r.entry.Name, mgr.GetCache(), mgr.GetClient(), apply.Options{
		Adopt:    r.entry.Adopt,
		MaxPrune: r.entry.Prune.MaxPerReconcile,
	})
	byKind := dispatcher{}
	for _, kind := range fors {
		byKind[kind.GroupVersionKind] = reconcile.New(reconcile.Controller{
			Name:     r.entry.Name,
			For:      kind,
			Owns:     owned,
			Clock:    r.entry.Clock,
			Settings: r.entry.Settings,
			Resync:   resync,
		}, measured(r.entry.Name, contained(r.entry.Name, r.module, r.engine.log)), mgr.GetCache(), applier, r.engine.events.recorder(r.entry.Name))
	}
	return byKind, nil
}

// dispatcher gives each object to the Reconciler of its kind. It is a controller-runtime reconciler.
type dispatcher map[schema.GroupVersionKind]*reconcile.Reconciler

// Reconcile reconciles one object.
func (d dispatcher) Reconcile(ctx context.Context, k key) (crreconcile.Result, error) {
	return d[k.GroupVersionKind].Reconcile(ctx, k.NamespacedName)
}

func (r *runner) options(reconcilers dispatcher) controller.TypedOptions[key] {
	return controller.TypedOptions[key]{
		Reconciler:              reconcilers,
		MaxConcurrentReconciles: r.entry.Workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[key](firstRetry, lastRetry),
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
func (r *runner) watch(ctx context.Context, run controller.TypedController[key], fors, owned []reconcile.Kind, reconcilers dispatcher) error {
	for _, kind := range fors {
		if err := run.Watch(source.TypedKind(r.engine.manager.GetCache(), objectOf(kind.GroupVersionKind), forHandler())); err != nil {
			return fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
		}
	}
	for _, kind := range owned {
		if err := r.engine.indexed.ensure(ctx, kind.GroupVersionKind); err != nil {
			return err
		}
		events := ownedHandler(fors, func(owner key, child *unstructured.Unstructured) {
			reconcilers[owner.GroupVersionKind].ChildGone(owner.NamespacedName, child)
		})
		if err := run.Watch(source.TypedKind(r.engine.manager.GetCache(), objectOf(kind.GroupVersionKind), events)); err != nil {
			return fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
		}
	}
	return nil
}
