package render

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

// cache is the host's cache, which shows each change as soon as it is made. It implements reconcile.Reader and
// reconcile.RelatedReader.
type cache struct {
	server *apiserver.Server
	mapper *setup.Mapper

	// mu guards the rest, of which the objects change only while none is reconciled.
	mu sync.RWMutex
	// read are the kinds that somebody reads, in the version that is read. Others are not decoded.
	read  map[schema.GroupKind]schema.GroupVersionKind
	kinds map[schema.GroupKind]*cached
	// version is that of the last change that is shown.
	version int64
	// parsed are objects that were parsed since the last update, by what the server holds.
	parsed sync.Map
	// deleted is true if something was deleted since the garbage was collected last.
	deleted bool
}

// cached are the objects of a kind.
type cached struct {
	raw     map[types.NamespacedName]Object
	objects map[types.NamespacedName]*kube.Object
	index   map[string]map[types.NamespacedName]*kube.Object
}

// change is what an informer tells of.
type change struct {
	old, object *kube.Object // old is nil for a new object
	gone        bool
}

func newCache(server *apiserver.Server, mapper *setup.Mapper) *cache {
	return &cache{
		server: server, mapper: mapper,
		read: map[schema.GroupKind]schema.GroupVersionKind{}, kinds: map[schema.GroupKind]*cached{},
	}
}

func (c *cache) kind(kind schema.GroupKind) *cached {
	of := c.kinds[kind]
	if of == nil {
		of = &cached{
			raw: map[types.NamespacedName]Object{}, objects: map[types.NamespacedName]*kube.Object{},
			index: map[string]map[types.NamespacedName]*kube.Object{},
		}
		c.kinds[kind] = of
	}
	return of
}

// follow has a kind decoded from now on.
func (c *cache) follow(kind schema.GroupVersionKind) (*cached, error) {
	c.mu.RLock()
	_, known := c.read[kind.GroupKind()]
	of := c.kinds[kind.GroupKind()]
	c.mu.RUnlock()
	if known {
		return of, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of = c.kind(kind.GroupKind())
	if _, known := c.read[kind.GroupKind()]; known {
		return of, nil
	}
	for name, raw := range of.raw {
		parsed, err := parse(raw, kind)
		if err != nil {
			return nil, err
		}
		of.show(name, parsed)
	}
	c.read[kind.GroupKind()] = kind
	return of, nil
}

// update shows the changes since the last time, and returns those of kinds that are read.
func (c *cache) update() (shown []change, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, made := range c.server.Changes(c.version) {
		c.version = made.Version
		kind := made.Object.GroupVersionKind().GroupKind()
		of, name := c.kind(kind), IDOf(made.Object).NamespacedName
		gone := made.Type == watch.Deleted
		c.deleted = c.deleted || gone || made.Object.GetDeletionTimestamp() != nil
		if of.raw[name] = made.Object; gone {
			delete(of.raw, name)
		}
		version, read := c.read[kind]
		if !read {
			continue
		}
		next := change{old: of.objects[name], gone: gone}
		if gone {
			next.object = next.old
			of.forget(name)
		} else {
			if next.object, err = c.parse(made.Object, version); err != nil {
				return nil, err
			}
			of.show(name, next.object)
		}
		if next.object != nil {
			shown = append(shown, next)
		}
	}
	c.server.Compact(c.version)
	c.parsed.Clear()
	return shown, nil
}

func (of *cached) show(name types.NamespacedName, parsed *kube.Object) {
	of.forget(name)
	of.objects[name] = parsed
	for _, key := range reconcile.IndexKeys(parsed) {
		if of.index[key] == nil {
			of.index[key] = map[types.NamespacedName]*kube.Object{}
		}
		of.index[key][name] = parsed
	}
}

func (of *cached) forget(name types.NamespacedName) {
	old := of.objects[name]
	if old == nil {
		return
	}
	for _, key := range reconcile.IndexKeys(old) {
		if delete(of.index[key], name); len(of.index[key]) == 0 {
			delete(of.index, key)
		}
	}
	delete(of.objects, name)
}

// parse makes of an object what caches hold. Versions that were made since the last update are likely to be asked for twice:
// by who has written them, and when they are shown.
func (c *cache) parse(raw Object, kind schema.GroupVersionKind) (*kube.Object, error) {
	if known, ok := c.parsed.Load(raw); ok && known.(*kube.Object).Kind == kind {
		return known.(*kube.Object), nil
	}
	parsed, err := parse(raw, kind)
	if err == nil {
		c.parsed.Store(raw, parsed)
	}
	return parsed, err
}

func parse(raw Object, kind schema.GroupVersionKind) (*kube.Object, error) {
	if raw.GroupVersionKind() != kind {
		raw = &unstructured.Unstructured{Object: maps.Clone(raw.Object)}
		raw.SetGroupVersionKind(kind)
	}
	encoded := encodings.Get().(*[]byte)
	defer encodings.Put(encoded)
	var err error
	if *encoded, err = kube.AppendJSON((*encoded)[:0], raw.Object); err != nil {
		return nil, err
	}
	return kube.Parse(*encoded, kind) // which keeps nothing of it
}

// encodings are buffers for encoded objects.
var encodings = sync.Pool{New: func() any { return new(make([]byte, 0, 4<<10)) }}

// Get implements reconcile.Reader and reconcile.RelatedReader.
func (c *cache) Get(_ context.Context, id kube.ID) (*kube.Object, error) {
	of, err := c.follow(id.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	return of.objects[id.NamespacedName], nil
}

// ByIndex implements reconcile.Reader.
func (c *cache) ByIndex(_ context.Context, kind schema.GroupVersionKind, key string) ([]*kube.Object, error) {
	of, err := c.follow(kind)
	if err != nil {
		return nil, err
	}
	return sorted(of.index[key]), nil
}

// Follow implements reconcile.RelatedReader.
func (c *cache) Follow(_ context.Context, kind schema.GroupVersionKind, _ types.NamespacedName) (namespaced bool, err error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return false, fmt.Errorf("kind %s is not served: %w", kind.Kind, err)
	}
	_, err = c.follow(kind)
	return mapping.Scope.Name() == "namespace", err
}

// InNamespace implements reconcile.RelatedReader.
func (c *cache) InNamespace(_ context.Context, kind schema.GroupVersionKind, namespace string) ([]*kube.Object, error) {
	of, err := c.follow(kind)
	if err != nil {
		return nil, err
	}
	all := sorted(of.objects)
	return slices.DeleteFunc(all, func(object *kube.Object) bool { return namespace != "" && object.Namespace != namespace }), nil
}

// sorted returns objects in an order that is the same in each run.
func sorted(objects map[types.NamespacedName]*kube.Object) []*kube.Object {
	all := make([]*kube.Object, 0, len(objects))
	for _, object := range objects {
		all = append(all, object)
	}
	slices.SortFunc(all, func(a, b *kube.Object) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// all returns all objects. They must not be changed.
func (c *cache) all() map[kube.ID]Object {
	all := map[kube.ID]Object{}
	for _, of := range c.kinds {
		for _, raw := range of.raw {
			all[IDOf(raw)] = raw
		}
	}
	return all
}
