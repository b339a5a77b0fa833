package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// watchSource is the events of a kind, as a source of a controller-runtime controller.
type watchSource struct {
	cache   *kube.Cache
	kind    schema.GroupVersionKind
	handler eventHandler
	synced  toolscache.InformerSynced
	// lifetime is that of the watch, which other controllers may share.
	lifetime context.Context //nolint:containedctx // it outlives that of Start
}

// source returns the events of a kind. The watch lives as long as ctx, if nothing watches the kind yet.
func (e *Engine) source(ctx context.Context, kind schema.GroupVersionKind, handler eventHandler) *watchSource {
	return &watchSource{cache: e.cache, kind: kind, handler: handler, lifetime: ctx}
}

// Start implements source.TypedSource.
func (s *watchSource) Start(ctx context.Context, queue queue) error {
	informer, err := s.cache.Watch(s.lifetime, s.kind) //nolint:contextcheck // the watch outlives the source
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(s.events(ctx, queue))
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", s.kind.Kind, err)
	}
	s.synced = registration.HasSynced
	go func() {
		<-ctx.Done()
		_ = informer.RemoveEventHandler(registration) // it fails only when the informer has ended
	}()
	return nil
}

// WaitForSync implements source.TypedSyncingSource: it waits until the queue has all objects that there are.
func (s *watchSource) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), s.synced) && ctx.Err() != nil {
		return fmt.Errorf("the objects of kind %s cannot be listed: %w", s.kind.Kind, ctx.Err())
	}
	return nil
}

// String names the source in the log.
func (s *watchSource) String() string { return "watch of " + s.kind.String() }

func (s *watchSource) events(ctx context.Context, queue queue) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			s.handler.Create(ctx, event.TypedCreateEvent[*kube.Object]{Object: object.(*kube.Object), IsInInitialList: initial}, queue)
		},
		UpdateFunc: func(before, object any) {
			s.handler.Update(ctx, event.TypedUpdateEvent[*kube.Object]{ObjectOld: before.(*kube.Object), ObjectNew: object.(*kube.Object)}, queue)
		},
		DeleteFunc: func(object any) {
			if unseen, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unseen.Obj
			}
			if object, ok := object.(*kube.Object); ok {
				s.handler.Delete(ctx, event.TypedDeleteEvent[*kube.Object]{Object: object}, queue)
			}
		},
	}
}

// ready is the readiness check: caches that are in use are filled.
func (e *Engine) ready(*http.Request) error {
	if !e.cache.Synced() {
		return errors.New("caches are not filled yet")
	}
	return nil
}
