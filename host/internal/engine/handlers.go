package engine

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

type (
	eventHandler = handler.TypedEventHandler[*unstructured.Unstructured, key]
	queue        = workqueue.TypedRateLimitingInterface[key]
)

// forHandler wakes an object by its own events.
func forHandler() eventHandler {
	return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, object *unstructured.Unstructured) []key {
		return []key{{object.GroupVersionKind(), types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}}}
	})
}

// ownedHandler wakes an object by the events of what it controls, and tells gone of the children that go.
func ownedHandler(fors []reconcile.Kind, gone func(owner key, child *unstructured.Unstructured)) eventHandler {
	owners := ownersAmong(fors)
	return &childHandler{
		eventHandler: handler.TypedEnqueueRequestsFromMapFunc(owners),
		owners:       owners,
		gone:         gone,
	}
}

type childHandler struct {
	eventHandler
	owners handler.TypedMapFunc[*unstructured.Unstructured, key]
	gone   func(owner key, child *unstructured.Unstructured)
}

// Delete implements handler.TypedEventHandler.
func (h *childHandler) Delete(ctx context.Context, e event.TypedDeleteEvent[*unstructured.Unstructured], q queue) {
	for _, owner := range h.owners(ctx, e.Object) {
		h.gone(owner, e.Object)
	}
	h.eventHandler.Delete(ctx, e, q)
}

// ownersAmong returns a function that finds the object that controls a child, if it is of one of these kinds. Of an
// update both versions are looked at, so that a child whose owner reference is taken away wakes its owner too.
func ownersAmong(fors []reconcile.Kind) handler.TypedMapFunc[*unstructured.Unstructured, key] {
	byGroupKind := make(map[schema.GroupKind]reconcile.Kind, len(fors))
	for _, kind := range fors {
		byGroupKind[kind.GroupKind()] = kind
	}
	return func(_ context.Context, child *unstructured.Unstructured) []key {
		owner := metav1.GetControllerOfNoCopy(child)
		if owner == nil {
			return nil
		}
		kind, ok := byGroupKind[schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind()]
		if !ok {
			return nil
		}
		name := types.NamespacedName{Name: owner.Name}
		if kind.Namespaced {
			name.Namespace = child.GetNamespace()
		}
		return []key{{kind.GroupVersionKind, name}}
	}
}
