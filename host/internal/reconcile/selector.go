package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	operators "k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// Selector says which objects of a kind are reconciled. The zero value selects all.
type Selector struct {
	// Namespaces are the namespaces that an object may be in. Empty: all. AllNamespaces among them stands for all, too.
	Namespaces []string
	// NamespaceLabels selects namespaces by their labels, Labels and Annotations select objects. nil: all.
	NamespaceLabels, Labels, Annotations labels.Selector
	// Fields selects objects by the text of fields, given by their path: "spec.nodeName=a". nil: all.
	Fields fields.Selector
}

// NamespaceKind is the kind of namespaces, which the cache must hold for a Selector with NamespaceLabels.
var NamespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// selects says whether an object is to be reconciled.
func (r *Reconciler) selects(ctx context.Context, object *kube.Object) (bool, error) {
	s := &r.controller.Selector
	if len(s.Namespaces) > 0 && !slices.Contains(s.Namespaces, object.Namespace) && !slices.Contains(s.Namespaces, AllNamespaces) {
		return false, nil
	}
	if selected, err := s.byLabels(object); err != nil || !selected {
		return false, err
	}
	if selected, err := s.byFields(object); err != nil || !selected {
		return false, err
	}
	if s.NamespaceLabels == nil || object.Namespace == "" {
		return true, nil
	}
	namespace, err := r.reader.Get(ctx, kube.ID{GroupVersionKind: NamespaceKind, NamespacedName: types.NamespacedName{Name: object.Namespace}})
	if err != nil || namespace == nil {
		return false, err
	}
	set, _, err := namespace.LabelsAndAnnotations()
	return err == nil && s.NamespaceLabels.Matches(labels.Set(set)), err
}

func (s *Selector) byLabels(object *kube.Object) (bool, error) {
	if s.Labels == nil && s.Annotations == nil {
		return true, nil
	}
	has, annotations, err := object.LabelsAndAnnotations()
	if err != nil {
		return false, err
	}
	return (s.Labels == nil || s.Labels.Matches(labels.Set(has))) &&
		(s.Annotations == nil || s.Annotations.Matches(labels.Set(annotations))), nil
}

func (s *Selector) byFields(object *kube.Object) (bool, error) {
	if s.Fields == nil || s.Fields.Empty() {
		return true, nil
	}
	decoded, err := object.Decode()
	if err != nil {
		return false, err
	}
	for _, requirement := range s.Fields.Requirements() {
		equal := textAt(decoded, requirement.Field) == requirement.Value
		if equal == (requirement.Operator == operators.NotEquals) {
			return false, nil
		}
	}
	return true, nil
}

// textAt returns the text of the field at a path, empty if there is none, as Kubernetes' field selectors have it.
func textAt(value any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	switch value.(type) {
	case nil, map[string]any, []any:
		return ""
	}
	return fmt.Sprint(value)
}
