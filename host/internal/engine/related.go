package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

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

// followTimeout is how long a reconcile waits for the objects of a kind that a module asks for first.
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
	synced     bool
	namespaced bool
}

// Follow implements reconcile.RelatedReader.
func (r *related) Follow(ctx context.Context, kind schema.GroupVersionKind) (namespaced bool, err error) {
	followed := r.kind(kind)
	followed.mu.Lock()
	defer followed.mu.Unlock()
	if followed.synced {
		return followed.namespaced, nil
	}
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	if followed.source == nil {
		if err := r.start(ctx, kind, followed); err != nil {
			return false, err
		}
	}
	if err := followed.source.WaitForSync(ctx); err != nil {
		return false, err
	}
	followed.synced = true
	return followed.namespaced, nil
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

func (r *related) start(ctx context.Context, kind schema.GroupVersionKind, followed *followedKind) error {
	found, err := r.runner.engine.kinds.find(ctx, kind)
	if err != nil {
		return err
	}
	source := r.runner.engine.source(r.ctx, kind, r.handler()) //nolint:contextcheck // the watch outlives this reconcile
	if err := r.run.Watch(source); err != nil {
		return fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
	}
	followed.source, followed.namespaced = source, found.Namespaced
	return nil
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
