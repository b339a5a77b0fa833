package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// followTimeout is how long reconciles wait for the objects of a kind from when a module first asks for it.
const followTimeout = 30 * time.Second

// relatedPriority is that of objects that are woken by related ones. One of those may wake thousands, and what somebody
// has just changed goes before.
const relatedPriority = -10

// related has the kinds watched that a controller's modules ask for, as they ask for them. It implements
// reconcile.RelatedReader.
type related struct {
	*kube.Cache
	runner *runner
	ctx    context.Context //nolint:containedctx // the watches live as long as the controller

	// run and reconcilers are set before the first reconcile.
	run         controller.TypedController[key]
	reconcilers dispatcher

	mu       sync.Mutex
	followed map[schema.GroupVersionKind]*followedKind
}

// followedKind is a kind that is watched since a module asked for it.
type followedKind struct {
	mu         sync.Mutex
	source     *watchSource // nil until it is started
	namespaced bool
	// patience ends when reconciles wait no longer for a first list. Those that come later fail at once, so that a kind that
	// cannot be listed does not take up all workers.
	patience time.Time
}

// Follow implements reconcile.RelatedReader.
func (r *related) Follow(ctx context.Context, kind schema.GroupVersionKind) (namespaced bool, err error) {
	followed := r.kind(kind)
	source, err := r.start(ctx, kind, followed)
	if err != nil {
		return false, err
	}
	if source.synced() {
		return followed.namespaced, nil
	}
	ctx, cancel := context.WithDeadline(ctx, followed.patience)
	defer cancel()
	return followed.namespaced, source.WaitForSync(ctx)
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
func (r *related) start(ctx context.Context, kind schema.GroupVersionKind, followed *followedKind) (*watchSource, error) {
	followed.mu.Lock()
	defer followed.mu.Unlock()
	if followed.source != nil {
		return followed.source, nil
	}
	engine := r.runner.engine
	mapping, err := engine.kinds.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	// A watch would not say why it fails, and would go on to. So it is begun only where a list can be had.
	if _, err := engine.client.List(ctx, kind, "", metav1.ListOptions{Limit: 1}); err != nil {
		return nil, err
	}
	source := engine.source(r.ctx, kind, r.handler()) //nolint:contextcheck // the watch outlives this reconcile
	if err := r.run.Watch(source); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
	}
	followed.source, followed.patience = source, time.Now().Add(followTimeout)
	followed.namespaced = mapping.Scope.Name() == meta.RESTScopeNameNamespace
	return source, nil
}

// handler wakes the objects that asked for an object. When the watch begins, nobody has.
func (r *related) handler() eventHandler {
	wake := func(objects []*kube.Object, q workqueue.TypedRateLimitingInterface[key]) {
		woken := map[key]bool{}
		for _, object := range objects {
			for kind, reconciler := range r.reconcilers {
				for _, name := range reconciler.Related(object) {
					woken[key{kind, name}] = true
				}
			}
		}
		for k := range woken {
			if byPriority, ok := q.(priorityqueue.PriorityQueue[key]); ok {
				byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: new(relatedPriority)}, k)
			} else {
				q.Add(k)
			}
		}
	}
	return handler.TypedFuncs[*kube.Object, key]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*kube.Object], q workqueue.TypedRateLimitingInterface[key]) {
			wake([]*kube.Object{e.Object}, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*kube.Object], q workqueue.TypedRateLimitingInterface[key]) {
			if e.ObjectOld.ResourceVersion != e.ObjectNew.ResourceVersion {
				wake([]*kube.Object{e.ObjectOld, e.ObjectNew}, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*kube.Object], q workqueue.TypedRateLimitingInterface[key]) {
			wake([]*kube.Object{e.Object}, q)
		},
	}
}

// relatedOptions translates what the config says of related objects.
func (r *related) options(entry config.Related) reconcile.RelatedOptions {
	options := reconcile.RelatedOptions{Reader: r}
	for _, rule := range entry.Rules {
		translated := abi.Related{APIVersion: rule.APIVersion, Kind: rule.Kind, Namespace: rule.Namespace, Names: rule.Names}
		if rule.LabelSelector != nil {
			translated.LabelSelector = selectorOf(rule.LabelSelector)
		}
		options.Rules = append(options.Rules, translated)
	}
	for _, allowed := range entry.Allow {
		options.Allow = append(options.Allow, reconcile.AllowedRelated{
			Kind: allowed.Schema(), Namespaces: allowed.Namespaces, Names: allowed.Names,
		})
	}
	return options
}

func selectorOf(selector *config.LabelSelector) *abi.LabelSelector {
	translated := &abi.LabelSelector{MatchLabels: selector.MatchLabels}
	for _, expression := range selector.MatchExpressions {
		translated.MatchExpressions = append(translated.MatchExpressions, abi.LabelSelectorRequirement(expression))
	}
	return translated
}
