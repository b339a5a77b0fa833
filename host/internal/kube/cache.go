package kube

import (
	"context"
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

// Cache holds the objects that are watched: each Selection once, however many watch it, and for as long as somebody
// does. It is safe for concurrent use.
type Cache struct {
	client *Client
	index  Index
	// OnError is told of each time that a kind cannot be listed or watched, which is then tried again. It may be set before
	// the first Watch.
	OnError func(selection Selection, err error)

	mu        sync.Mutex
	informers map[Selection]*informer
}

// informer is a Selection that is watched.
type informer struct {
	cache.SharedIndexInformer
	selection Selection
	stop      context.CancelFunc
	// users are those who watch it. It ends with the last.
	users map[*Watch]bool
	// byNamespace is true if it has an index of namespaces.
	byNamespace bool
}

// NewCache returns a Cache that is empty as long as nothing is watched.
func NewCache(client *Client, index Index) *Cache {
	return &Cache{client: client, index: index, informers: map[Selection]*informer{}}
}

// Watch has the Cache hold the objects of one or more selections of a kind, which have no object in common. onError, which
// may be nil, is told of each time that they cannot be listed or watched.
func (c *Cache) Watch(onError func(error), selections ...Selection) (*Watch, error) {
	w := &Watch{cache: c, onError: onError}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, selection := range selections {
		shared, err := c.informer(selection)
		if err != nil {
			return nil, err
		}
		shared.users[w] = true
		w.informers = append(w.informers, shared)
	}
	return w, nil
}

// Hold has all that is watched now go on being watched until it is released.
func (c *Cache) Hold() (release func()) {
	w := &Watch{cache: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, shared := range c.informers {
		shared.users[w] = true
		w.informers = append(w.informers, shared)
	}
	return w.Close
}

func (c *Cache) informer(selection Selection) (*informer, error) {
	if shared, ok := c.informers[selection]; ok {
		return shared, nil
	}
	ctx, stop := context.WithCancel(context.Background())
	shared := &informer{
		selection: selection, stop: stop, users: map[*Watch]bool{},
		SharedIndexInformer: cache.NewSharedIndexInformerWithOptions(c.listWatch(selection), &Object{}, cache.SharedIndexInformerOptions{
			ObjectDescription: selection.String(),
			Indexers: cache.Indexers{indexName: func(object any) ([]string, error) {
				return c.index(object.(*Object)), nil
			}},
		}),
	}
	err := shared.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { c.failed(shared, err) })
	if err != nil {
		stop()
		return nil, fmt.Errorf("cannot watch %s: %w", selection.Kind, err)
	}
	c.informers[selection] = shared
	go shared.RunWithContext(ctx)
	return shared, nil
}

func (c *Cache) listWatch(selection Selection) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return selection.list(ctx, c.client, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return selection.watch(ctx, c.client, options)
		},
	}
}

// failed tells all who watch something that it cannot be listed or watched.
func (c *Cache) failed(shared *informer, err error) {
	if c.OnError != nil {
		c.OnError(shared.selection, err)
	}
	c.mu.Lock()
	told := make([]func(error), 0, len(shared.users))
	for user := range shared.users {
		if user.onError != nil {
			told = append(told, user.onError)
		}
	}
	c.mu.Unlock()
	for _, tell := range told {
		tell(err)
	}
}

// close ends the part that a Watch has in an informer.
func (c *Cache) close(w *Watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, shared := range w.informers {
		delete(shared.users, w)
		if len(shared.users) == 0 {
			shared.stop()
			delete(c.informers, shared.selection)
		}
	}
}

// Synced says whether the Cache holds all there is of what is watched.
func (c *Cache) Synced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, shared := range c.informers {
		if !shared.HasSynced() {
			return false
		}
	}
	return true
}

// Selections returns what is watched.
func (c *Cache) Selections() []Selection {
	c.mu.Lock()
	defer c.mu.Unlock()
	watched := make([]Selection, 0, len(c.informers))
	for selection := range c.informers {
		watched = append(watched, selection)
	}
	return watched
}

// indexNamespaces adds the index of namespaces to what is read by namespace. It takes room, so others have none.
func (c *Cache) indexNamespaces(shared *informer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if shared.byNamespace {
		return nil
	}
	err := shared.AddIndexers(cache.Indexers{cache.NamespaceIndex: func(object any) ([]string, error) {
		return []string{object.(*Object).Namespace}, nil
	}})
	if err != nil {
		return fmt.Errorf("cannot index %s by namespace: %w", shared.selection.Kind, err)
	}
	shared.byNamespace = true
	return nil
}

// GetObjectKind implements runtime.Object.
func (l *List) GetObjectKind() schema.ObjectKind { return &l.TypeMeta }

// DeepCopyObject implements runtime.Object. Objects do not change, so that they need no copy.
func (l *List) DeepCopyObject() runtime.Object { return l }
