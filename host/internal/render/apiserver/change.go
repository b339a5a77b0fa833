package apiserver

import (
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Change is what happened to one object.
type Change struct {
	// Version is the resourceVersion of the change, greater than that of all changes before it.
	Version int64
	// Type is ADDED, MODIFIED or DELETED.
	Type watch.EventType
	// Object is the object after the change, or, with the change's resourceVersion, as it was when it was deleted.
	// It must not be changed.
	Object *unstructured.Unstructured
	// Old is the object before the change, nil if there was none. It must not be changed.
	Old *unstructured.Unstructured
}

// Version returns the resourceVersion of the last change.
func (s *Server) Version() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Changes returns the changes after a resourceVersion, in order.
func (s *Server) Changes(since int64) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changesSince(since)
}

// Compact forgets the changes up to a resourceVersion. Watches that start before it are told that it is too old.
func (s *Server) Compact(version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append([]Change(nil), s.changesSince(version)...)
	s.compacted = max(s.compacted, version)
}

// changesSince searches from the end, where watchers are.
func (s *Server) changesSince(version int64) []Change {
	first := len(s.changes)
	for first > 0 && s.changes[first-1].Version > version {
		first--
	}
	return s.changes[first:len(s.changes):len(s.changes)]
}

// commit stores an object that was added or modified, and gives it the next resourceVersion.
func (s *Server) commit(k *kind, object, old *unstructured.Unstructured) *unstructured.Unstructured {
	event := watch.Modified
	if old == nil {
		event = watch.Added
	}
	object.SetResourceVersion(strconv.FormatInt(s.version+1, 10))
	s.objects[k.GroupKind()][nameOf(object)] = object
	if k.GroupKind() == definitionKind {
		s.serveDefined(object)
	}
	s.record(Change{Type: event, Object: object, Old: old})
	return object
}

// remove deletes an object, and returns its last state.
func (s *Server) remove(k *kind, last, old *unstructured.Unstructured) *unstructured.Unstructured {
	gone := last.DeepCopy()
	gone.SetResourceVersion(strconv.FormatInt(s.version+1, 10))
	delete(s.objects[k.GroupKind()], nameOf(old))
	s.record(Change{Type: watch.Deleted, Object: gone, Old: old})
	if k.GroupKind() == definitionKind {
		s.forget(old)
	}
	return gone
}

func (s *Server) record(change Change) {
	s.version++
	change.Version = s.version
	s.changes = append(s.changes, change)
	close(s.changed)
	s.changed = make(chan struct{})
}

func nameOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
