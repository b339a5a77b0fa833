package setup

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// SelectorOf translates what the config says of the objects that are reconciled.
func SelectorOf(entry *config.Reconciled) (selector reconcile.Selector, err error) {
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
