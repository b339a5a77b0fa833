package engine

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// selectorFor translates what the config says of the objects that are reconciled.
func selectorFor(entry *config.Reconciled) (selector reconcile.Selector, err error) {
	selector.Namespaces = entry.Namespaces
	for _, s := range []struct {
		configured *config.LabelSelector
		into       *labels.Selector
	}{
		{entry.NamespaceSelector, &selector.NamespaceLabels},
		{entry.LabelSelector, &selector.Labels},
		{entry.AnnotationSelector, &selector.Annotations},
	} {
		if s.configured == nil {
			continue
		}
		if *s.into, err = metav1.LabelSelectorAsSelector(s.configured.Schema()); err != nil {
			return selector, fmt.Errorf("cannot use a selector of kind %s: %w", entry.Kind, err)
		}
	}
	if entry.FieldSelector != "" {
		if selector.Fields, err = fields.ParseSelector(entry.FieldSelector); err != nil {
			return selector, fmt.Errorf("cannot use the field selector of kind %s: %w", entry.Kind, err)
		}
	}
	return selector, nil
}

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
