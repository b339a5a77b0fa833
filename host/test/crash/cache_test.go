package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

type unstructuredObject = *unstructured.Unstructured

// cache is the cache of a host: it follows the API server's changes, each kind at its own pace. It implements
// reconcile.Reader.
type cache struct {
	world *world
	kinds map[schema.GroupVersionKind]*watched
	// version is that of the last change that was handed out to the kinds.
	version int64
}

// watched are the objects of one kind, and what has not got here yet.
type watched struct {
	kind    schema.GroupVersionKind
	objects map[kube.ID]*kube.Object
	pending []change
}

// change is what an informer tells of.
type change struct {
	old, object *kube.Object // old is nil for a new object
	gone        bool
}

// newCache lists all there is, as a new host does.
func newCache(w *world, kinds []schema.GroupVersionKind) *cache {
	c := &cache{world: w, kinds: map[schema.GroupVersionKind]*watched{}, version: w.server.Version()}
	for _, kind := range kinds {
		c.kinds[kind] = &watched{kind: kind, objects: map[kube.ID]*kube.Object{}}
	}
	for _, object := range w.objects() {
		if of := c.kinds[object.GroupVersionKind()]; of != nil {
			parsed := w.parse(object)
			of.objects[parsed.ID()] = parsed
		}
	}
	return c
}

// follow takes the changes that there are since the last time.
func (c *cache) follow() {
	for _, each := range c.world.server.Changes(c.version) {
		c.version = each.Version
		if of := c.kinds[each.Object.GroupVersionKind()]; of != nil {
			of.pending = append(of.pending, change{object: c.world.parse(each.Object), gone: each.Type == watch.Deleted})
		}
	}
}

// next shows the next change of a kind.
func (of *watched) next() change {
	shown := of.pending[0]
	of.pending = of.pending[1:]
	id := shown.object.ID()
	shown.old = of.objects[id]
	if shown.gone {
		delete(of.objects, id)
	} else {
		of.objects[id] = shown.object
	}
	return shown
}

// relist replaces what is known of a kind by what there is, as an informer does whose watch was broken. It tells of each
// object, also of those that have not changed, and never of what came and went meanwhile.
func (c *cache) relist(of *watched) (shown []change) {
	c.follow()
	of.pending = nil
	there := map[kube.ID]*kube.Object{}
	for _, object := range c.world.objects() {
		if object.GroupVersionKind() != of.kind {
			continue
		}
		parsed := c.world.parse(object)
		there[parsed.ID()] = parsed
		shown = append(shown, change{old: of.objects[parsed.ID()], object: parsed})
	}
	for _, object := range sorted(of.objects) {
		if there[object.ID()] == nil {
			shown = append(shown, change{object: object, gone: true})
		}
	}
	of.objects = there
	return shown
}

// behind returns the kinds of which there is something to show, in an order that is the same in each run.
func (c *cache) behind() (kinds []*watched) {
	c.follow()
	for _, of := range c.all() {
		if len(of.pending) > 0 {
			kinds = append(kinds, of)
		}
	}
	return kinds
}

func (c *cache) all() (kinds []*watched) {
	for _, of := range c.kinds {
		kinds = append(kinds, of)
	}
	slices.SortFunc(kinds, func(a, b *watched) int { return cmp.Compare(a.kind.String(), b.kind.String()) })
	return kinds
}

// Get implements reconcile.Reader.
func (c *cache) Get(_ context.Context, id kube.ID) (*kube.Object, error) {
	of := c.kinds[id.GroupVersionKind]
	if of == nil {
		return nil, fmt.Errorf("kind %s is not watched", id.Kind)
	}
	return of.objects[id], nil
}

// ByIndex implements reconcile.Reader.
func (c *cache) ByIndex(_ context.Context, kind schema.GroupVersionKind, key string) (found []*kube.Object, err error) {
	of := c.kinds[kind]
	if of == nil {
		return nil, fmt.Errorf("kind %s is not watched", kind.Kind)
	}
	for _, object := range sorted(of.objects) {
		if slices.Contains(reconcile.IndexKeys(object), key) {
			found = append(found, object)
		}
	}
	return found, nil
}

func sorted(objects map[kube.ID]*kube.Object) (all []*kube.Object) {
	for _, object := range objects {
		all = append(all, object)
	}
	slices.SortFunc(all, func(a, b *kube.Object) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// parse returns an object of the API server as caches have it.
func (w *world) parse(object unstructuredObject) *kube.Object {
	var version int64
	if _, err := fmt.Sscan(object.GetResourceVersion(), &version); err != nil {
		panic(err)
	}
	if known := w.parsed[version]; known != nil {
		return known
	}
	encoded, err := json.Marshal(object.Object)
	if err != nil {
		panic(err)
	}
	parsed, err := kube.Parse(encoded, object.GroupVersionKind())
	if err != nil {
		panic(err)
	}
	w.parsed[version] = parsed
	return parsed
}
