package engine

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

type (
	eventHandler = handler.TypedEventHandler[*kube.Object, key]
	queue        = workqueue.TypedRateLimitingInterface[key]
)

// forHandler wakes an object by its own events.
func forHandler() eventHandler {
	return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, object *kube.Object) []key {
		return []key{{object.Kind, object.NamespacedName}}
	})
}

// ownedHandler wakes an object by the events of what it controls, and of what seen says.
func ownedHandler(fors []reconcile.Kind, seen func(object *kube.Object, gone bool) []key) eventHandler {
	owners := ownersAmong(fors)
	wakes := func(gone bool) eventHandler {
		return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, object *kube.Object) []key {
			return append(owners(object), seen(object, gone)...)
		})
	}
	return &childHandler{eventHandler: wakes(false), gone: wakes(true)}
}

type childHandler struct {
	eventHandler
	gone eventHandler
}

// Delete implements handler.TypedEventHandler.
func (h *childHandler) Delete(ctx context.Context, e event.TypedDeleteEvent[*kube.Object], q queue) {
	h.gone.Delete(ctx, e, q)
}

// ownersAmong returns a function that finds the object that controls a child, if it is of one of these kinds. Of an
// update both versions are looked at, so that a child whose owner reference is taken away wakes its owner too.
func ownersAmong(fors []reconcile.Kind) func(child *kube.Object) []key {
	byGroupKind := make(map[schema.GroupKind]reconcile.Kind, len(fors))
	for _, kind := range fors {
		byGroupKind[kind.GroupKind()] = kind
	}
	return func(child *kube.Object) []key {
		owner := child.Controller()
		if owner == nil {
			return nil
		}
		kind, ok := byGroupKind[schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind()]
		if !ok {
			return nil
		}
		name := types.NamespacedName{Name: owner.Name}
		if kind.Namespaced {
			name.Namespace = child.Namespace
		}
		return []key{{kind.GroupVersionKind, name}}
	}
}
