package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// followTimeout is how long reconciles wait for the objects of a kind from when a module first asks for it.
const followTimeout = 30 * time.Second

// relatedPriority is that of objects that are woken by related ones. One of those may wake thousands, and what somebody
// has just changed goes before.
const relatedPriority = -10

const (
	// relatedPoll is how often it is tried to read a kind that objects wait for.
	relatedPoll = 5 * time.Second
	// relatedIdle is how long a kind is watched that no object asks for any more.
	relatedIdle = 2 * time.Minute
)

// related has the kinds watched that a controller's modules ask for, as long as they ask for them. It is a source of the
// controller's events.
type related struct {
	runner *runner
	ctx    context.Context //nolint:containedctx // the watches live as long as the controller
	queue  queue
	idle   time.Duration // relatedIdle, but in tests

	// reconcilers are set before the first reconcile.
	reconcilers dispatcher

	mu       sync.Mutex
	followed map[schema.GroupVersionKind]*followedKind
	// waiting are the objects that wait for a kind that cannot be read.
	waiting map[schema.GroupVersionKind]map[key]bool
}

// followedKind is a kind that is watched since a module asked for it.
type followedKind struct {
	mu         sync.Mutex
	watch      *kube.Watch // nil until it is started
	selections []kube.Selection
	synced     toolscache.InformerSynced
	namespaced bool
	asked      time.Time // when a module asked for it last
	ended      bool      // it is not among those that are followed any more
	// patience ends when reconciles wait no longer for a first list. Those that come later fail at once, so that a kind that
	// cannot be listed does not take up all workers.
	patience time.Time
}

func newRelated(ctx context.Context, r *runner) *related {
	return &related{
		runner: r, ctx: ctx, idle: cmp.Or(r.engine.relatedIdle, relatedIdle),
		followed: map[schema.GroupVersionKind]*followedKind{}, waiting: map[schema.GroupVersionKind]map[key]bool{},
	}
}

// Start implements source.TypedSource.
func (r *related) Start(ctx context.Context, queue queue) error {
	r.queue = queue
	go wait.UntilWithContext(ctx, func(context.Context) { r.letGo() }, r.idle/2)
	return nil
}

// String names the source in the log.
func (*related) String() string { return "related objects" }

// letGo ends the watches of kinds that no object has asked for in a while.
func (r *related) letGo() {
	r.mu.Lock()
	kinds := slices.Collect(maps.Keys(r.followed))
	r.mu.Unlock()
	for _, kind := range kinds {
		followed := r.kind(kind)
		followed.mu.Lock()
		if time.Since(followed.asked) > r.idle && time.Now().After(followed.patience) && !r.isAskedFor(kind) {
			r.end(kind, followed)
		}
		followed.mu.Unlock()
	}
}

func (r *related) isAskedFor(kind schema.GroupVersionKind) bool {
	for _, reconciler := range r.reconcilers {
		if len(reconciler.Asking(kind)) > 0 {
			return true
		}
	}
	return false
}

// end ends the watch of a kind, which is locked.
func (r *related) end(kind schema.GroupVersionKind, followed *followedKind) {
	if followed.watch != nil {
		followed.watch.Close()
		followed.watch = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	followed.ended = true
	if r.followed[kind] == followed {
		delete(r.followed, kind)
	}
}

// close ends all watches.
func (r *related) close() {
	r.mu.Lock()
	all := maps.Clone(r.followed)
	r.mu.Unlock()
	for kind, followed := range all {
		followed.mu.Lock()
		r.end(kind, followed)
		followed.mu.Unlock()
	}
}

// review ends the watches that the account has no right to any more. Those who asked for the kind then say so.
func (r *related) review(ctx context.Context) error {
	r.mu.Lock()
	all := maps.Clone(r.followed)
	r.mu.Unlock()
	for kind, followed := range all {
		followed.mu.Lock()
		selections := followed.selections
		followed.mu.Unlock()
		rights, err := r.runner.engine.accounts.rightsOf(selections)
		if err == nil {
			err = r.runner.account.review(ctx, rights)
		}
		if _, lacks := errors.AsType[*forbiddenError](err); lacks {
			r.gone(kind)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// gone has all look again that asked for a kind which the cluster does not serve any more, or which may not be read any more.
func (r *related) gone(kind schema.GroupVersionKind) {
	followed := r.kind(kind)
	followed.mu.Lock()
	r.end(kind, followed)
	followed.mu.Unlock()
	woken := map[key]bool{}
	for of, reconciler := range r.reconcilers {
		for _, name := range reconciler.Asking(kind) {
			woken[key{of, name}] = true
		}
	}
	r.wake(woken, r.queue)
}

// relatedFor is what the modules for objects of a kind ask for. It implements reconcile.RelatedReader.
type relatedFor struct {
	*related
	kind schema.GroupVersionKind
}

// Follow implements reconcile.RelatedReader.
func (r relatedFor) Follow(ctx context.Context, kind schema.GroupVersionKind, object types.NamespacedName) (namespaced bool, err error) {
	namespaced, err = r.follow(ctx, kind)
	if err != nil && ctx.Err() == nil {
		r.await(kind, key{r.kind, object})
	}
	return namespaced, err
}

func (r *related) follow(ctx context.Context, kind schema.GroupVersionKind) (bool, error) {
	followed := r.kind(kind)
	synced, err := r.start(ctx, kind, followed)
	if err != nil {
		return false, err
	}
	followed.mu.Lock()
	namespaced, patience := followed.namespaced, followed.patience
	followed.mu.Unlock()
	if synced() {
		return namespaced, nil
	}
	ctx, cancel := context.WithDeadline(ctx, patience)
	defer cancel()
	if !toolscache.WaitForCacheSync(ctx.Done(), synced) {
		return false, fmt.Errorf("the objects of kind %s cannot be listed: %w", kind.Kind, ctx.Err())
	}
	followed.mu.Lock()
	defer followed.mu.Unlock()
	followed.asked, followed.patience = time.Now(), time.Time{}
	return namespaced, nil
}

func (r *related) kind(kind schema.GroupVersionKind) *followedKind {
	r.mu.Lock()
	defer r.mu.Unlock()
	followed := r.followed[kind]
	if followed == nil {
		followed = &followedKind{}
		r.followed[kind] = followed
	}
	return followed
}

// start has a kind watched, if it is not yet.
func (r *related) start(ctx context.Context, kind schema.GroupVersionKind, followed *followedKind) (toolscache.InformerSynced, error) {
	followed.mu.Lock()
	defer followed.mu.Unlock()
	followed.asked = time.Now()
	if followed.ended {
		return nil, fmt.Errorf("cannot read %s: %w", kind, errNotFollowed)
	}
	if followed.watch != nil {
		return followed.synced, nil
	}
	selections, namespaced, err := r.readable(ctx, kind)
	if err != nil {
		return nil, err
	}
	watch, err := r.runner.account.cache.Watch(func(err error) { //nolint:contextcheck // others may share it, and outlive this
		if apierrors.IsNotFound(err) || r.runner.account.refused(err) {
			go r.gone(kind)
		}
	}, selections...)
	if err != nil {
		return nil, err
	}
	source := &watchSource{watch: watch, name: kind.Kind, handler: r.handler()}
	if err := source.Start(r.ctx, r.queue); err != nil { //nolint:contextcheck // the watch outlives this reconcile
		watch.Close()
		return nil, fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
	}
	followed.watch, followed.synced, followed.patience = watch, source.synced, time.Now().Add(followTimeout)
	followed.namespaced, followed.selections = namespaced, selections
	return followed.synced, nil
}

// readable returns what is to be watched of a kind, if it can be. A watch would not say why it fails, and would go on to. So
// it is begun only where a list can be had.
func (r *related) readable(ctx context.Context, kind schema.GroupVersionKind) (selections []kube.Selection, namespaced bool, err error) {
	mapping, err := r.runner.engine.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, false, err
	}
	namespaced = mapping.Scope.Name() == meta.RESTScopeNameNamespace
	selections, err = relatedSelections(&r.runner.entry, kind, namespaced)
	if err != nil {
		return nil, false, err
	}
	for _, selection := range selections {
		if _, err := r.runner.account.client.List(ctx, kind, selection.Namespace, metav1.ListOptions{Limit: 1, FieldSelector: selection.Fields}); err != nil {
			return nil, false, err
		}
	}
	return selections, namespaced, nil
}

// await has an object woken when a kind can be read.
func (r *related) await(kind schema.GroupVersionKind, asker key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[kind] == nil {
		r.waiting[kind] = map[key]bool{}
		go r.poll(kind)
	}
	r.waiting[kind][asker] = true
}

// poll tries to read a kind until it can be.
func (r *related) poll(kind schema.GroupVersionKind) {
	missing := missingKinds.WithLabelValues(r.runner.entry.Name, kind.Kind, kind.GroupVersion().String())
	missing.Set(1)
	defer missing.Set(0)
	err := wait.PollUntilContextCancel(r.ctx, relatedPoll, false, func(ctx context.Context) (bool, error) {
		_, _, err := r.readable(ctx, kind)
		return err == nil, nil
	})
	r.mu.Lock()
	woken := r.waiting[kind]
	delete(r.waiting, kind)
	r.mu.Unlock()
	if err == nil {
		r.runner.engine.log.Info("a related kind can be read now", "controller", r.runner.entry.Name, "kind", kind.String())
		r.wake(woken, r.queue)
	}
}

var errNotFollowed = errors.New("kind is not followed")

func (r *related) watches(kind schema.GroupVersionKind) (kube.Watches, error) {
	followed := r.kind(kind)
	followed.mu.Lock()
	defer followed.mu.Unlock()
	if followed.watch == nil {
		return nil, fmt.Errorf("cannot read %s: %w", kind, errNotFollowed)
	}
	return kube.Watches{kind: followed.watch}, nil
}

// Get implements reconcile.RelatedReader.
func (r *related) Get(ctx context.Context, id kube.ID) (*kube.Object, error) {
	watches, err := r.watches(id.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	return watches.Get(ctx, id)
}

// InNamespace implements reconcile.RelatedReader.
func (r *related) InNamespace(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]*kube.Object, error) {
	watches, err := r.watches(kind)
	if err != nil {
		return nil, err
	}
	return watches.InNamespace(ctx, kind, namespace)
}

// handler wakes the objects that asked for an object. When the watch begins, nobody has.
func (r *related) handler() eventHandler {
	return handler.TypedFuncs[*kube.Object, key]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*kube.Object], q queue) {
			r.wake(r.askedFor(e.Object), q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*kube.Object], q queue) {
			if e.ObjectOld.ResourceVersion != e.ObjectNew.ResourceVersion {
				r.wake(r.askedFor(e.ObjectOld, e.ObjectNew), q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*kube.Object], q queue) {
			r.wake(r.askedFor(e.Object), q)
		},
	}
}

// askedFor returns the objects that asked for one of these.
func (r *related) askedFor(objects ...*kube.Object) map[key]bool {
	asked := map[key]bool{}
	for _, object := range objects {
		for kind, reconciler := range r.reconcilers {
			for _, name := range reconciler.Related(object) {
				asked[key{kind, name}] = true
			}
		}
	}
	return asked
}

func (r *related) wake(woken map[key]bool, q queue) {
	for k := range woken {
		add(q, k, relatedPriority)
	}
}
