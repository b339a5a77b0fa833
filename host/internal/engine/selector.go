package engine

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// namespaceHandler has the objects of a namespace looked at again when its labels may have made a difference.
func (r *runner) namespaceHandler(fors []reconcile.Kind, watches kube.Watches) eventHandler {
	return handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, namespace *kube.Object) []key {
		var woken []key
		for i, kind := range fors {
			if r.entry.For[i].NamespaceSelector == nil {
				continue
			}
			objects, err := watches.InNamespace(ctx, kind.GroupVersionKind, namespace.Name)
			if err != nil {
				r.engine.log.Error(err, "cannot look at the objects of a namespace again", "controller", r.entry.Name, "namespace", namespace.Name)
			}
			for _, object := range objects {
				woken = append(woken, key{kind.GroupVersionKind, object.NamespacedName})
			}
		}
		return woken
	})
}

// selectsNamespaces says whether the controller selects namespaces by their labels.
func (r *runner) selectsNamespaces() bool {
	for i := range r.entry.For {
		if r.entry.For[i].NamespaceSelector != nil {
			return true
		}
	}
	return false
}
