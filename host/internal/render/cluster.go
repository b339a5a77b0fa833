package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// DefaultMaxReconciles is how often an object is reconciled until it is taken never to reach a fixed point.
const DefaultMaxReconciles = 50

// Options are the optional settings of a Cluster. The zero value of a field means its default.
type Options struct {
	// Module takes the place of the plan's module.
	Module reconcile.Module
	// MaxReconciles is how often an object is reconciled, in each Settle. Default 50.
	MaxReconciles int
	// KillAfter kills the host when it has made so many writes, once; it is started again at once. 0: never.
	KillAfter int
}

// Cluster is an in-memory cluster in which a controller runs.
type Cluster struct {
	plan    *Plan
	options Options
	server  *apiserver.Server
	client  *kube.Client
	cache   *cache
	now     time.Time

	life     *life
	outcomes map[kube.ID]*Outcome
	counts   map[kube.ID]int // reconciles in this Settle
	writes   int
	initial  map[kube.ID]Object
}

// life is one life of the host. All that it knows goes with it.
type life struct {
	ctx         context.Context //nolint:containedctx // it ends when the host is killed
	kill        context.CancelFunc
	reconcilers map[schema.GroupVersionKind]*reconcile.Reconciler
	queue       *queue
	// current is the object that is being reconciled.
	current kube.ID
	failed  map[kube.ID]int64 // the version of the cluster at the last failure
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
	if c.client, err = p.kinds.clientOf(c.server); err != nil {
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
	applier := apply.New(c.plan.entry.Name, c.cache, c.client, c.plan.applyOptions())
	for _, controller := range controllers {
		controller.Related.Reader, controller.Now = c.cache, func() time.Time { return c.now }
		kind := controller.For.GroupVersionKind
		l.reconcilers[kind] = reconcile.New(controller, &observer{c, l}, c.cache, applier, recorder{c})
	}
	c.life = l
	return c.lookAtAll()
}

// lookAtAll has all objects reconciled, as a host does that has just started.
func (c *Cluster) lookAtAll() error {
	for _, kind := range c.plan.fors {
		if err := c.cache.follow(kind.GroupVersionKind); err != nil {
			return err
		}
		for _, object := range sorted(c.cache.kind(kind.GroupKind()).objects) {
			c.wake(object.ID())
		}
	}
	for _, kind := range c.plan.owned {
		if err := c.cache.follow(kind.GroupVersionKind); err != nil {
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
	if id, ok := c.life.queue.take(); ok {
		c.reconcile(ctx, id)
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

// hostPause is the longest that the host itself waits while it is at work. Longer pauses are the module's.
const hostPause = 100 * time.Millisecond

// reconcile reconciles one object.
func (c *Cluster) reconcile(ctx context.Context, id kube.ID) {
	outcome, l := c.outcome(id), c.life
	if c.counts[id]++; c.counts[id] > c.options.MaxReconciles {
		outcome.Err = &FixedPointError{id, c.options.MaxReconciles}
		return
	}
	outcome.Reconciles++
	l.current = id
	result, err := l.reconcilers[id.GroupVersionKind].Reconcile(l.ctx, id.NamespacedName) //nolint:contextcheck // it ends with the life of the host
	if l.ctx.Err() != nil {                                                               // it was killed meanwhile
		if err := c.Restart(ctx); err != nil {
			outcome.Err = err
		}
		return
	}
	outcome.Err = err
	delete(l.queue.due, id)
	switch after := result.RequeueAfter; {
	case errors.Is(err, crreconcile.TerminalError(nil)):
	case err != nil:
		c.retry(id)
	case after > 0 && after <= hostPause:
		c.now = c.now.Add(after)
		l.queue.add(id)
	case after > 0:
		l.queue.due[id] = c.now.Add(after)
	}
	if err == nil {
		delete(l.failed, id)
	}
}

// retry has an object reconciled again that failed, unless nothing has changed since it last did: it would fail again.
func (c *Cluster) retry(id kube.ID) {
	version := c.server.Version()
	if last, failed := c.life.failed[id]; failed && last == version {
		return
	}
	c.life.failed[id] = version
	c.life.queue.add(id)
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
func (c *Cluster) Writes() int { return c.writes }

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
	if c.writes++; c.writes == c.options.KillAfter {
		l.kill()
		return errKilled
	}
	return err
}

// observer calls the module, and notes what it answers.
type observer struct {
	cluster *Cluster
	life    *life
}

// Call implements reconcile.Module.
func (o *observer) Call(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
	outcome := o.cluster.outcome(o.life.current)
	outcome.Calls++
	outcome.Request, outcome.Response, outcome.answer = request, nil, nil
	response, err := o.cluster.options.Module.Call(ctx, request, func(level abi.Level, line string) {
		outcome.Logs = append(outcome.Logs, Line{level, line})
		log(level, line)
	})
	if fueled, ok := o.cluster.options.Module.(interface{ LastFuel() uint64 }); ok {
		outcome.Fuel += fueled.LastFuel()
	}
	if err != nil {
		return nil, err
	}
	outcome.Response = response
	outcome.remember(response)
	if answer, err := abi.DecodeResponse(response); err == nil {
		outcome.answer = answer
	}
	return response, nil
}

// recorder notes events.
type recorder struct{ cluster *Cluster }

// Event implements reconcile.Recorder.
func (r recorder) Event(object *kube.Object, eventType, reason, message string) {
	outcome := r.cluster.outcome(object.ID())
	event := abi.Event{Type: eventType, Reason: reason, Message: message}
	if !slices.Contains(outcome.Events, event) {
		outcome.Events = append(outcome.Events, event)
	}
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

// FixedPointError says that an object never came to rest.
type FixedPointError struct {
	ID         kube.ID
	Reconciles int
}

// Error says which object.
func (e *FixedPointError) Error() string {
	return fmt.Sprintf("%s does not reach a fixed point: there was still something to do after %d reconciles", e.ID, e.Reconciles)
}
