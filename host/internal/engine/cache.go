package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// trim is what the cache does to each object before it keeps it.
func trim(value any) (any, error) {
	if object, ok := value.(*unstructured.Unstructured); ok {
		apply.TrimManagedFields(object)
	}
	return value, nil
}

// indexes adds the index of children to each kind once, however many controllers own it.
type indexes struct {
	cache cache.Cache
	mu    sync.Mutex
	added map[schema.GroupVersionKind]bool
}

func (i *indexes) ensure(ctx context.Context, kind schema.GroupVersionKind) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.added[kind] {
		return nil
	}
	if err := i.cache.IndexField(ctx, objectOf(kind), reconcile.ChildIndex, reconcile.ChildIndexKeys); err != nil {
		return fmt.Errorf("cannot index %s: %w", kind.Kind, err)
	}
	if i.added == nil {
		i.added = map[schema.GroupVersionKind]bool{}
	}
	i.added[kind] = true
	return nil
}

func objectOf(kind schema.GroupVersionKind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object
}

// ready is the readiness check: caches that are in use are filled.
func (e *Engine) ready(request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), time.Second)
	defer cancel()
	if !e.manager.GetCache().WaitForCacheSync(ctx) {
		return errors.New("caches are not filled yet")
	}
	return nil
}
