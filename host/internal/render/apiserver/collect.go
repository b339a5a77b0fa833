package apiserver

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// CollectGarbage does what a cluster's garbage collector and namespace controller do in the end, until there is nothing
// left to do, and returns how many changes that took. It is not intercepted, and nothing speaks against its changes.
func (s *Server) CollectGarbage() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.version
	for {
		version := s.version
		for _, object := range s.all() {
			if s.objects[object.GroupVersionKind().GroupKind()][nameOf(object)] == object { // it may have gone or changed meanwhile
				s.collect(s.kinds[object.GroupVersionKind()], object)
			}
		}
		if s.version == version {
			return int(version - before)
		}
	}
}

// collect does what is to be done about one object.
func (s *Server) collect(k *kind, object *unstructured.Unstructured) {
	switch {
	case s.collectOrphan(k, object):
	case k.holdsContents(object) && object.GetDeletionTimestamp() != nil:
		s.emptyNamespace(k, object)
	case slices.Contains(object.GetFinalizers(), metav1.FinalizerOrphanDependents) && object.GetDeletionTimestamp() != nil:
		s.orphanDependents(k, object)
	case slices.Contains(object.GetFinalizers(), metav1.FinalizerDeleteDependents) && object.GetDeletionTimestamp() != nil:
		s.deleteDependents(k, object)
	}
}

// collectOrphan deletes an object whose owners are all gone. If only some are, it forgets those.
func (s *Server) collectOrphan(k *kind, object *unstructured.Unstructured) bool {
	owners := object.GetOwnerReferences()
	left := slices.DeleteFunc(slices.Clone(owners), func(owner metav1.OwnerReference) bool { return s.ownerOf(object, owner) == nil })
	switch {
	case len(left) == len(owners):
		return false
	case len(left) > 0:
		s.setOwners(k, object, left)
	case object.GetDeletionTimestamp() != nil:
		return false
	default:
		s.deleteInternally(object, policyOf(object))
	}
	return true
}

// policyOf keeps to what an object's finalizers say about its dependents.
func policyOf(object *unstructured.Unstructured) metav1.DeletionPropagation {
	switch finalizers := object.GetFinalizers(); {
	case slices.Contains(finalizers, metav1.FinalizerOrphanDependents):
		return metav1.DeletePropagationOrphan
	case slices.Contains(finalizers, metav1.FinalizerDeleteDependents):
		return metav1.DeletePropagationForeground
	default:
		return metav1.DeletePropagationBackground
	}
}

// ownerOf returns the object that an owner reference means: one of its UID, in the same namespace or in none.
func (s *Server) ownerOf(object *unstructured.Unstructured, reference metav1.OwnerReference) *unstructured.Unstructured {
	for gvk, k := range s.kinds {
		if gvk.Kind != reference.Kind || gvk.GroupVersion().String() != reference.APIVersion {
			continue
		}
		name := types.NamespacedName{Name: reference.Name}
		if k.namespaced {
			name.Namespace = object.GetNamespace()
		}
		if owner := s.objects[k.GroupKind()][name]; owner != nil && owner.GetUID() == reference.UID {
			return owner
		}
	}
	return nil
}

// dependents returns the objects that have an owner reference to this one.
func (s *Server) dependents(owner *unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.DeleteFunc(s.all(), func(object *unstructured.Unstructured) bool {
		return !slices.ContainsFunc(object.GetOwnerReferences(), func(reference metav1.OwnerReference) bool {
			return reference.UID == owner.GetUID() && s.ownerOf(object, reference) == owner
		})
	})
}

// orphanDependents makes the dependents forget an object, which may go then.
func (s *Server) orphanDependents(k *kind, object *unstructured.Unstructured) {
	for _, dependent := range s.dependents(object) {
		left := slices.DeleteFunc(dependent.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID == object.GetUID() })
		s.setOwners(s.kinds[dependent.GroupVersionKind()], dependent, left)
	}
	s.dropFinalizer(k, object, metav1.FinalizerOrphanDependents)
}

// deleteDependents deletes the dependents of an object, which may go when those are gone that keep it.
func (s *Server) deleteDependents(k *kind, object *unstructured.Unstructured) {
	kept := false
	for _, dependent := range s.dependents(object) {
		if dependent.GetDeletionTimestamp() == nil {
			s.deleteInternally(dependent, metav1.DeletePropagationForeground)
		}
		there := s.objects[dependent.GroupVersionKind().GroupKind()][nameOf(dependent)] != nil
		kept = kept || there && slices.ContainsFunc(dependent.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
			return owner.UID == object.GetUID() && owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion
		})
	}
	if !kept {
		s.dropFinalizer(k, object, metav1.FinalizerDeleteDependents)
	}
}

// emptyNamespace deletes what is in a namespace, and then the namespace.
func (s *Server) emptyNamespace(k *kind, namespace *unstructured.Unstructured) {
	left := false
	for _, object := range s.all() {
		if object.GetNamespace() != namespace.GetName() {
			continue
		}
		left = true
		if object.GetDeletionTimestamp() == nil {
			s.deleteInternally(object, metav1.DeletePropagationBackground)
		}
	}
	if left {
		return
	}
	emptied := namespace.DeepCopy()
	unstructured.RemoveNestedField(emptied.Object, "spec", "finalizers")
	s.store(k, emptied, namespace)
}

func (s *Server) setOwners(k *kind, object *unstructured.Unstructured, owners []metav1.OwnerReference) {
	changed := object.DeepCopy()
	changed.SetOwnerReferences(owners)
	if len(owners) == 0 {
		changed.SetOwnerReferences(nil)
	}
	s.store(k, changed, object)
}

func (s *Server) dropFinalizer(k *kind, object *unstructured.Unstructured, name string) {
	changed := object.DeepCopy()
	left := slices.DeleteFunc(changed.GetFinalizers(), func(other string) bool { return other == name })
	if len(left) == 0 {
		left = nil
	}
	changed.SetFinalizers(left)
	s.store(k, changed, object)
}

// store stores a changed object, or removes it if it was only waiting for this change.
func (s *Server) store(k *kind, object, old *unstructured.Unstructured) {
	if object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 && !k.holdsContents(object) {
		s.remove(k, object, old)
		return
	}
	s.commit(k, object, old)
}
