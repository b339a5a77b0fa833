package apiserver

import (
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// keptNamespaces cannot be deleted.
var keptNamespaces = []string{"default", "kube-public", "kube-system"}

// delete removes an object, or marks it if something is to be done before.
func (w *write) delete() (*Answer, error) {
	live := w.existing()
	if live == nil {
		return nil, apierrors.NewNotFound(w.resource(), w.request.Name)
	}
	if w.kind.GroupKind() == namespaceKind && slices.Contains(keptNamespaces, live.GetName()) {
		return nil, apierrors.NewForbidden(w.resource(), live.GetName(), errors.New("this namespace may not be deleted"))
	}
	if err := w.checkPreconditions(live); err != nil {
		return nil, err
	}
	if err := w.admit(nil, live); err != nil {
		return nil, err
	}
	object := live.DeepCopy()
	if finalizers := deletionFinalizers(live.GetFinalizers(), w.request.Delete.PropagationPolicy); len(finalizers) > 0 {
		object.SetFinalizers(finalizers)
	} else {
		object.SetFinalizers(nil)
	}
	switch {
	case w.request.DryRun:
		return &Answer{Object: live}, nil
	case len(object.GetFinalizers()) > 0 || w.kind.holdsContents(live):
		return w.markDeleted(object, live), nil
	}
	return &Answer{Object: w.server.remove(w.kind, live, live), Gone: true}, nil
}

func (w *write) checkPreconditions(live *unstructured.Unstructured) error {
	preconditions := w.request.Delete.Preconditions
	if preconditions == nil {
		return nil
	}
	if uid := preconditions.UID; uid != nil && *uid != live.GetUID() {
		return apierrors.NewConflict(w.resource(), live.GetName(),
			fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *uid, live.GetUID()))
	}
	if version := preconditions.ResourceVersion; version != nil && *version != live.GetResourceVersion() {
		return apierrors.NewConflict(w.resource(), live.GetName(),
			fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *version, live.GetResourceVersion()))
	}
	return nil
}

// markDeleted lets an object wait for its finalizers.
func (w *write) markDeleted(object, live *unstructured.Unstructured) *Answer {
	if live.GetDeletionTimestamp() == nil {
		now := metav1.NewTime(w.server.options.Now())
		object.SetDeletionTimestamp(&now)
		object.SetDeletionGracePeriodSeconds(new(int64(0)))
		if generation := live.GetGeneration(); generation > 0 {
			object.SetGeneration(generation + 1)
		}
	}
	if w.kind.GroupKind() == namespaceKind {
		object.Object["status"] = map[string]any{"phase": "Terminating"}
		unstructured.RemoveNestedField(object.Object, "metadata", "deletionGracePeriodSeconds")
	} else if live.GetDeletionTimestamp() != nil && slices.Equal(object.GetFinalizers(), live.GetFinalizers()) {
		return &Answer{Object: live}
	}
	return &Answer{Object: w.server.commit(w.kind, object, live)}
}

// holdsContents says whether an object is a namespace that has not been emptied.
func (k *kind) holdsContents(object *unstructured.Unstructured) bool {
	finalizers, _, _ := unstructured.NestedSlice(object.Object, "spec", "finalizers")
	return k.GroupKind() == namespaceKind && len(finalizers) > 0
}

// deletionFinalizers adds to an object's finalizers what makes the garbage collector see to its dependents before the
// object goes.
func deletionFinalizers(finalizers []string, policy *metav1.DeletionPropagation) []string {
	if policy == nil {
		return finalizers
	}
	kept := slices.DeleteFunc(slices.Clone(finalizers), func(name string) bool {
		return name == metav1.FinalizerOrphanDependents || name == metav1.FinalizerDeleteDependents
	})
	switch *policy {
	case metav1.DeletePropagationOrphan:
		kept = append(kept, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		kept = append(kept, metav1.FinalizerDeleteDependents)
	case metav1.DeletePropagationBackground:
	}
	return kept
}

// deleteInternally is a delete that the server does itself. Nobody is asked.
func (s *Server) deleteInternally(object *unstructured.Unstructured, policy metav1.DeletionPropagation) {
	request := Request{Verb: Delete, Kind: object.GroupVersionKind(), NamespacedName: nameOf(object)}
	request.Delete.PropagationPolicy = &policy
	w := &write{server: s, kind: s.kinds[request.Kind], request: &request, internal: true}
	_, _ = w.delete() // it is there, and nothing speaks against it
}
