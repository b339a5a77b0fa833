package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Watch is one user's part in a Cache: objects of one kind. It is safe for concurrent use.
type Watch struct {
	cache     *Cache
	informers []*informer
	onError   func(error)

	mu            sync.Mutex
	registrations []registration
}

type registration struct {
	informer *informer
	handle   cache.ResourceEventHandlerRegistration
}

// Handle has a handler told of all objects, and of their changes from now on. The function that it returns says whether
// it was told of all that were there.
func (w *Watch) Handle(handler cache.ResourceEventHandler) (synced cache.InformerSynced, err error) {
	var all []cache.InformerSynced
	for _, shared := range w.informers {
		handle, err := shared.AddEventHandler(handler)
		if err != nil {
			return nil, fmt.Errorf("cannot watch %s: %w", shared.selection.Kind, err)
		}
		w.mu.Lock()
		w.registrations = append(w.registrations, registration{shared, handle})
		w.mu.Unlock()
		all = append(all, handle.HasSynced)
	}
	return func() bool {
		for _, synced := range all {
			if !synced() {
				return false
			}
		}
		return true
	}, nil
}

// Close ends the Watch. What nobody watches any more is not held any more.
func (w *Watch) Close() {
	w.mu.Lock()
	ended := w.registrations
	w.registrations = nil
	w.mu.Unlock()
	for _, r := range ended {
		_ = r.informer.RemoveEventHandler(r.handle) // it fails only when the informer has ended
	}
	w.cache.close(w)
}

// get returns an object, nil if there is none.
func (w *Watch) get(name types.NamespacedName) (*Object, error) {
	key := cache.ObjectName{Namespace: name.Namespace, Name: name.Name}.String()
	for _, shared := range w.informers {
		if shared.selection.Namespace != "" && shared.selection.Namespace != name.Namespace {
			continue
		}
		found, ok, err := shared.GetIndexer().GetByKey(key)
		if err != nil {
			return nil, err
		}
		if ok {
			return found.(*Object), nil
		}
	}
	return nil, nil
}

// byIndex returns the objects that the index has under a key.
func (w *Watch) byIndex(key string) (objects []*Object, err error) {
	for _, shared := range w.informers {
		found, err := shared.GetIndexer().ByIndex(indexName, key)
		if err != nil {
			return nil, err
		}
		objects = appendObjects(objects, found)
	}
	return objects, nil
}

// inNamespace returns the objects in a namespace, or in all ("").
func (w *Watch) inNamespace(namespace string) (objects []*Object, err error) {
	for _, shared := range w.informers {
		switch where := shared.selection.Namespace; {
		case namespace == "" || namespace == where:
			objects = appendObjects(objects, shared.GetIndexer().List())
		case where == "":
			if err := w.cache.indexNamespaces(shared); err != nil {
				return nil, err
			}
			found, err := shared.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
			if err != nil {
				return nil, err
			}
			objects = appendObjects(objects, found)
		}
	}
	return objects, nil
}

func appendObjects(objects []*Object, found []any) []*Object {
	for _, object := range found {
		objects = append(objects, object.(*Object))
	}
	return objects
}

// Watches are what one user watches, one Watch for each kind.
type Watches map[schema.GroupVersionKind]*Watch

var errNotWatched = errors.New("kind is not watched")

func (w Watches) of(kind schema.GroupVersionKind) (*Watch, error) {
	watch, ok := w[kind]
	if !ok {
		return nil, fmt.Errorf("cannot read %s: %w", kind, errNotWatched)
	}
	return watch, nil
}

// Get returns an object, nil if there is none.
func (w Watches) Get(_ context.Context, id ID) (*Object, error) {
	watch, err := w.of(id.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	return watch.get(id.NamespacedName)
}

// ByIndex returns the objects of a kind that the Cache's index has under a key.
func (w Watches) ByIndex(_ context.Context, kind schema.GroupVersionKind, key string) ([]*Object, error) {
	watch, err := w.of(kind)
	if err != nil {
		return nil, err
	}
	return watch.byIndex(key)
}

// InNamespace returns the objects of a kind in a namespace, or in all ("").
func (w Watches) InNamespace(_ context.Context, kind schema.GroupVersionKind, namespace string) ([]*Object, error) {
	watch, err := w.of(kind)
	if err != nil {
		return nil, err
	}
	return watch.inNamespace(namespace)
}

// Close ends all.
func (w Watches) Close() {
	for _, watch := range w {
		watch.Close()
	}
}
