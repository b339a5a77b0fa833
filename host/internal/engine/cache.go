package engine

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// watchSource is the events of a Watch, as a source of a controller-runtime controller. They end with the Watch.
type watchSource struct {
	watch   *kube.Watch
	name    string
	handler eventHandler
	synced  toolscache.InformerSynced
	// filled is closed when the queue has all objects that there were, if it is not nil.
	filled chan struct{}
}

// Start implements source.TypedSource.
func (s *watchSource) Start(ctx context.Context, queue queue) (err error) {
	s.synced, err = s.watch.Handle(s.events(ctx, queue))
	return err
}

// WaitForSync implements source.TypedSyncingSource: it waits until the queue has all objects that there are.
func (s *watchSource) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), s.synced) && ctx.Err() != nil {
		return fmt.Errorf("the objects of kind %s cannot be listed: %w", s.name, ctx.Err())
	}
	if s.filled != nil && ctx.Err() == nil {
		close(s.filled)
	}
	return nil
}

// String names the source in the log.
func (s *watchSource) String() string { return "watch of " + s.name }

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
