package render

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// DefaultMaxReconciles is how often an object is reconciled until it is taken never to reach a fixed point.
const DefaultMaxReconciles = 50

// Options are the optional settings of a Cluster. The zero value of a field means its default.
type Options struct {
	// Module takes the place of the plan's module.
	Module reconcile.Module
	// MaxReconciles is how often an object is reconciled, in each Settle. Default 50.
	MaxReconciles int
	// KillAfter kills the host when it has made so many writes, once; it is started again at once. 0: never. Waves are of one
	// object then.
	KillAfter int
	// Wave is how many objects are reconciled side by side, on all processors, each by what the cluster was before all of
	// them. What comes of it does not depend on their order, as long as no two want the same child: then Raced says so.
	// Default 1.
	Wave int
}

// Cluster is an in-memory cluster in which a controller runs.
type Cluster struct {
	plan    *Plan
	options Options
	server  *apiserver.Server
	cache   *cache
	now     time.Time

	life     *life
	outcomes map[kube.ID]*Outcome
	counts   map[kube.ID]int // reconciles in this Settle
	writes   atomic.Int64
	initial  map[kube.ID]Object
	raced    bool
}

// life is one life of the host. All that it knows goes with it.
type life struct {
	ctx         context.Context //nolint:containedctx // it ends when the host is killed
	kill        context.CancelFunc
	reconcilers map[schema.GroupVersionKind]*reconcile.Reconciler
	queue       *queue
	failed      map[kube.ID]int64 // the version of the cluster at the last failure
}

// lifeKey marks what a host does.
type lifeKey struct{}

var errKilled = errors.New("the host was killed")

// Start starts a cluster with the objects of the plan, and the controller in it. Errors say what is wrong with the objects.
func (p *Plan) Start(ctx context.Context, options Options) (*Cluster, error) {
	if options.Module == nil {
		options.Module = p.input.Module
	}
	options.MaxReconciles = cmp.Or(options.MaxReconciles, DefaultMaxReconciles)
	if options.KillAfter > 0 || options.Wave < 1 {
		options.Wave = 1
	}
	c := &Cluster{plan: p, options: options, now: p.input.Now, outcomes: map[kube.ID]*Outcome{}, counts: map[kube.ID]int{}}
	if c.now.IsZero() {
		c.now = start
	}
	var err error
	//nolint:contextcheck // what it does at first is over at once
	c.server, err = apiserver.New(apiserver.Options{CRDs: p.kinds.madeUp, Now: func() time.Time { return c.now }, Intercept: c.intercept})
	if err != nil {
		return nil, err
	}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	c.cache = newCache(c.server, p.kinds.mapper)
	if _, err := c.cache.update(); err != nil {
		return nil, err
	}
	c.initial = c.cache.all()
	return c, c.Restart(ctx)
}

// Restart ends the host, if it runs, and starts a new one, which knows nothing and looks at everything.
func (c *Cluster) Restart(ctx context.Context) error {
	if c.life != nil {
		c.life.kill()
	}
	l := &life{reconcilers: map[schema.GroupVersionKind]*reconcile.Reconciler{}, queue: newQueue(), failed: map[kube.ID]int64{}}
	ctx, l.kill = context.WithCancel(context.WithoutCancel(ctx))
	l.ctx = context.WithValue(ctx, lifeKey{}, l)
	controllers, err := c.plan.controllers()
	if err != nil {
		return err
	}
	applier := apply.New(c.plan.entry.Name, c.cache, writer{c}, c.plan.applyOptions())
	for _, controller := range controllers {
		controller.Related.Reader, controller.Now = c.cache, func() time.Time { return c.now }
		kind := controller.For.GroupVersionKind
		l.reconcilers[kind] = reconcile.New(controller, observer{c.options.Module}, c.cache, applier, recorder{c})
	}
	c.life = l
	return c.lookAtAll()
}

// lookAtAll has all objects reconciled, as a host does that has just started.
func (c *Cluster) lookAtAll() error {
	for _, kind := range c.plan.fors {
		of, err := c.cache.follow(kind.GroupVersionKind)
		if err != nil {
			return err
		}
		for _, object := range sorted(of.objects) {
			c.wake(object.ID())
		}
	}
	for _, kind := range c.plan.owned {
		if _, err := c.cache.follow(kind.GroupVersionKind); err != nil {
			return err
		}
	}
	return nil
}

// wake puts an object into the queue, if it is one that is reconciled here.
func (c *Cluster) wake(id kube.ID) {
	if c.plan.only == nil || *c.plan.only == id {
		c.life.queue.add(id)
	}
}

// Settle lets the controller work until nothing is left to do. What is due later is not awaited.
func (c *Cluster) Settle(ctx context.Context) {
	clear(c.counts)
	for ctx.Err() == nil && c.step(ctx) { //nolint:revive // the step is the work
	}
}

// SettleUntilKilled does so, until the host is killed.
func (c *Cluster) SettleUntilKilled(ctx context.Context) {
	clear(c.counts)
	for first := c.life; ctx.Err() == nil && c.life == first && c.step(ctx); { //nolint:revive // the step is the work
	}
}

// Refresh has the controller's cache show what others have done since Settle.
func (c *Cluster) Refresh() error {
	shown, err := c.cache.update()
	for _, each := range shown {
		c.tell(each)
	}
	return err
}

// step does the next thing, and returns false if there is none.
func (c *Cluster) step(ctx context.Context) bool {
	shown, err := c.cache.update()
	if err != nil {
		panic(err) // the server holds nothing that cannot be encoded and decoded
	}
	for _, each := range shown {
		c.tell(each)
	}
	if wave := c.life.queue.take(c.options.Wave); len(wave) > 0 {
		c.reconcile(ctx, wave)
		return true
	}
	if len(shown) > 0 {
		return true
	}
	return c.collect()
}

// collect does what the cluster does when something was deleted. Until then nothing is collected: what was observed may have
// owners that nobody has written down.
func (c *Cluster) collect() bool {
	if !c.cache.deleted {
		return false
	}
	c.cache.deleted = false
	return c.server.CollectGarbage() > 0
}

// tell wakes what a change wakes, as the engine does.
func (c *Cluster) tell(made change) {
	versions := []*kube.Object{made.object}
	if made.old != nil && made.old != made.object {
		versions = append(versions, made.old)
	}
	for i, object := range versions {
		if c.plan.reconciles(object.Kind) {
			c.wake(object.ID())
		}
		if c.plan.owns(object.Kind) {
			c.wakeOwners(object, made.gone && i == 0)
		}
		for kind, reconciler := range c.each() {
			for _, name := range sortedNames(reconciler.Related(object)) {
				c.wake(kube.ID{GroupVersionKind: kind, NamespacedName: name})
			}
		}
		if object.Kind == reconcile.NamespaceKind {
			c.wakeSelected(object.Name)
		}
	}
}

// each visits the reconcilers in an order that is always the same.
func (c *Cluster) each() func(yield func(schema.GroupVersionKind, *reconcile.Reconciler) bool) {
	return func(yield func(schema.GroupVersionKind, *reconcile.Reconciler) bool) {
		for _, kind := range c.plan.fors {
			if !yield(kind.GroupVersionKind, c.life.reconcilers[kind.GroupVersionKind]) {
				return
			}
		}
	}
}

func (c *Cluster) wakeOwners(child *kube.Object, gone bool) {
	if owner := child.Controller(); owner != nil {
		for _, kind := range c.plan.fors {
			if kind.GroupKind() != schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind() {
				continue
			}
			name := types.NamespacedName{Name: owner.Name}
			if kind.Namespaced {
				name.Namespace = child.Namespace
			}
			c.wake(kube.ID{GroupVersionKind: kind.GroupVersionKind, NamespacedName: name})
		}
	}
	for kind, reconciler := range c.each() {
		for _, name := range sortedNames(reconciler.Seen(child, gone)) {
			c.wake(kube.ID{GroupVersionKind: kind, NamespacedName: name})
		}
	}
}

// wakeSelected wakes the objects of a namespace whose labels decide about them.
func (c *Cluster) wakeSelected(namespace string) {
	for i, kind := range c.plan.fors {
		if c.plan.entry.For[i].NamespaceSelector == nil {
			continue
		}
		for _, object := range sorted(c.cache.kind(kind.GroupKind()).objects) {
			if object.Namespace == namespace {
				c.wake(object.ID())
			}
		}
	}
}

// Advance lets time pass, and the controller do what is due meanwhile.
func (c *Cluster) Advance(ctx context.Context, by time.Duration) {
	until := c.now.Add(by)
	for {
		c.Settle(ctx)
		due, ok := c.life.queue.next()
		if !ok || due.After(until) || ctx.Err() != nil {
			break
		}
		c.now = due.Add(time.Millisecond) // a timer is never early
		c.life.queue.wake(c.now)
	}
	if c.now.Before(until) {
		c.now = until
	}
}

// Server is the cluster's API server.
func (c *Cluster) Server() *apiserver.Server { return c.server }

// Do has somebody else than the controller do something.
func (c *Cluster) Do(ctx context.Context, request apiserver.Request) error {
	_, err := c.server.Do(ctx, request)
	return err
}

// Apply has somebody else apply an object, in a namespace that is made if it is not there.
func (c *Cluster) Apply(ctx context.Context, request apiserver.Request) error {
	if err := c.needNamespace(ctx, request.Namespace); err != nil {
		return err
	}
	return c.Do(ctx, request)
}

// Writes is how many writes the controller has made.
func (c *Cluster) Writes() int { return int(c.writes.Load()) }

// intercept counts the host's writes, and kills it when it is time.
func (c *Cluster) intercept(ctx context.Context, request apiserver.Request, do func() error) error {
	l, byHost := ctx.Value(lifeKey{}).(*life)
	if !byHost || !request.Verb.Writes() || request.DryRun {
		return do()
	}
	if l.ctx.Err() != nil {
		return errKilled
	}
	err := do()
	if c.writes.Add(1) == int64(c.options.KillAfter) {
		l.kill()
		return errKilled
	}
	return err
}

func sortedNames(names []types.NamespacedName) []types.NamespacedName {
	return slices.SortedFunc(slices.Values(names), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func sortedIDs[V any](of map[kube.ID]V) []kube.ID {
	return slices.SortedFunc(maps.Keys(of), func(a, b kube.ID) int {
		return cmp.Or(cmp.Compare(a.GroupVersionKind.String(), b.GroupVersionKind.String()), cmp.Compare(a.NamespacedName.String(), b.NamespacedName.String()))
	})
}
