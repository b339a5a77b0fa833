package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Index is an index of a Cache: the keys that an object is found by.
type Index func(object *Object) []string

const indexName = "index"

// Cache holds the objects of the kinds that are watched. It is safe for concurrent use.
type Cache struct {
	client *Client
	index  Index
	// OnError is told of each time that a kind cannot be listed or watched, which is then tried again. It may be set before
	// the first Watch.
	OnError func(kind schema.GroupVersionKind, err error)

	mu        sync.Mutex
	informers map[schema.GroupVersionKind]cache.SharedIndexInformer
	// namespaced are the kinds that have an index of namespaces.
	namespaced map[schema.GroupVersionKind]bool
}

// NewCache returns a Cache that is empty as long as nothing is watched.
func NewCache(client *Client, index Index) *Cache {
	return &Cache{
		client: client, index: index,
		informers: map[schema.GroupVersionKind]cache.SharedIndexInformer{}, namespaced: map[schema.GroupVersionKind]bool{},
	}
}

// Watch has the Cache hold the objects of a kind from now on, until ctx is done, and returns what tells of their changes.
// Who watches a kind first sets ctx for all.
func (c *Cache) Watch(ctx context.Context, kind schema.GroupVersionKind) (cache.SharedIndexInformer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if informer, ok := c.informers[kind]; ok {
		return informer, nil
	}
	informer := cache.NewSharedIndexInformerWithOptions(c.listWatch(kind), &Object{}, cache.SharedIndexInformerOptions{
		ObjectDescription: kind.String(),
		Indexers: cache.Indexers{indexName: func(object any) ([]string, error) {
			return c.index(object.(*Object)), nil
		}},
	})
	if c.OnError != nil {
		err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { c.OnError(kind, err) })
		if err != nil {
			return nil, fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
		}
	}
	c.informers[kind] = informer
	go informer.RunWithContext(ctx)
	return informer, nil
}

func (c *Cache) listWatch(kind schema.GroupVersionKind) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return c.client.List(ctx, kind, "", options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.client.watch(ctx, kind, "", options)
		},
	}
}

// Synced says whether the Cache holds all there is of the kinds that it watches.
func (c *Cache) Synced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, informer := range c.informers {
		if !informer.HasSynced() {
			return false
		}
	}
	return true
}

// Get returns an object, nil if there is none.
func (c *Cache) Get(_ context.Context, id ID) (*Object, error) {
	informer, err := c.informer(id.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	key := cache.ObjectName{Namespace: id.Namespace, Name: id.Name}.String()
	found, ok, err := informer.GetIndexer().GetByKey(key)
	if err != nil || !ok {
		return nil, err
	}
	return found.(*Object), nil
}

// ByIndex returns the objects of a kind that the index has under a key.
func (c *Cache) ByIndex(_ context.Context, kind schema.GroupVersionKind, key string) ([]*Object, error) {
	informer, err := c.informer(kind)
	if err != nil {
		return nil, err
	}
	found, err := informer.GetIndexer().ByIndex(indexName, key)
	if err != nil {
		return nil, err
	}
	objects := make([]*Object, len(found))
	for i := range found {
		objects[i] = found[i].(*Object)
	}
	return objects, nil
}

// InNamespace returns the objects of a kind in a namespace, or in all ("").
func (c *Cache) InNamespace(_ context.Context, kind schema.GroupVersionKind, namespace string) ([]*Object, error) {
	informer, err := c.informer(kind)
	if err != nil {
		return nil, err
	}
	found := informer.GetIndexer().List
	if namespace != "" {
		if err := c.indexNamespaces(kind, informer); err != nil {
			return nil, err
		}
		items, err := informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
		if err != nil {
			return nil, err
		}
		found = func() []any { return items }
	}
	var objects []*Object
	for _, item := range found() {
		objects = append(objects, item.(*Object))
	}
	return objects, nil
}

// indexNamespaces adds the index of namespaces to a kind that is read by namespace. It takes room, so others have none.
func (c *Cache) indexNamespaces(kind schema.GroupVersionKind, informer cache.SharedIndexInformer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.namespaced[kind] {
		return nil
	}
	err := informer.AddIndexers(cache.Indexers{cache.NamespaceIndex: func(object any) ([]string, error) {
		return []string{object.(*Object).Namespace}, nil
	}})
	if err != nil {
		return fmt.Errorf("cannot index %s by namespace: %w", kind.Kind, err)
	}
	c.namespaced[kind] = true
	return nil
}

var errNotWatched = errors.New("kind is not watched")

func (c *Cache) informer(kind schema.GroupVersionKind) (cache.SharedIndexInformer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	informer, ok := c.informers[kind]
	if !ok {
		return nil, fmt.Errorf("cannot read %s: %w", kind, errNotWatched)
	}
	return informer, nil
}

// GetObjectKind implements runtime.Object.
func (l *List) GetObjectKind() schema.ObjectKind { return &l.TypeMeta }

// DeepCopyObject implements runtime.Object. Objects do not change, so that they need no copy.
func (l *List) DeepCopyObject() runtime.Object { return l }
