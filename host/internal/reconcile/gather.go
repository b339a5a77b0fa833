package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Reader reads from a cache of the kinds that a Controller names.
type Reader interface {
	apply.Reader
	// ByIndex returns the objects of a kind for which IndexKeys has a key.
	ByIndex(ctx context.Context, kind schema.GroupVersionKind, key string) ([]*kube.Object, error)
}

// childKey is the key in the cache's index of the children that a controller has for an owner.
func childKey(controller string, owner types.UID) string {
	return controller + "/" + string(owner)
}

// IndexKeys returns the keys of an object in the cache's index: one if it is somebody's child, else none.
func IndexKeys(object *kube.Object) []string {
	controller, owner, ok := apply.ClaimedBy(object)
	if !ok {
		return nil
	}
	return []string{childKey(controller, owner)}
}

// observation is what the cache knows of an object.
type observation struct {
	object   *kube.Object
	children []*kube.Object
	// related are the related objects by kind, each kind that was asked for being there.
	related map[schema.GroupVersionKind][]*kube.Object
	// asked is what the module asked for of them.
	asked []abi.Related
	// wanted is a sum of what the module has answered about children.
	wanted sum
	// asLeft is true if the children are as the same answer about them has left them. Then the answer has no opinion.
	asLeft bool
	// finalizing is true if the object is being deleted, or is not selected any more.
	finalizing bool
}

// gather reads an object's children from the cache.
func (r *Reconciler) gather(ctx context.Context, object *kube.Object) (*observation, error) {
	children, err := r.childrenOf(ctx, apply.OwnerOf(r.controller.Name, object))
	return &observation{object: object, children: children}, err
}

// childrenOf reads an owner's children from the cache.
func (r *Reconciler) childrenOf(ctx context.Context, owner apply.Owner) (children []*kube.Object, err error) {
	key := childKey(r.controller.Name, owner.UID)
	for _, kind := range r.controller.Owns {
		found, err := r.reader.ByIndex(ctx, kind.GroupVersionKind, key)
		if err != nil {
			return nil, fmt.Errorf("cannot list the children of kind %s: %w", kind.Kind, err)
		}
		for _, child := range found {
			if owner.Owns(child, kind.Options) {
				children = append(children, child)
			}
		}
	}
	slices.SortFunc(children, compareUIDs)
	return children, nil
}

func compareUIDs(a, b *kube.Object) int { return cmp.Compare(a.UID, b.UID) }

// has says whether a child is among what was observed, so that its going makes another observation.
func (o *observation) has(child kube.ID) bool { return o.child(child) != nil }

// child returns a child, nil if there is none of this name.
func (o *observation) child(id kube.ID) *kube.Object {
	for _, each := range o.children {
		if each.ID() == id {
			return each
		}
	}
	return nil
}

// fingerprint tells observations apart at no more cost than their versions.
func (o *observation) fingerprint() string {
	var text []byte
	if o.finalizing { // no version tells that another namespace's labels let go of the object
		text = append(text, "finalizing "...)
	}
	for _, object := range o.all() {
		text = appendVersion(text, object)
	}
	return string(text)
}

// appendVersion appends which version of an object is there.
func appendVersion(dst []byte, object *kube.Object) []byte {
	return append(append(append(append(dst, object.UID...), '@'), object.ResourceVersion...), ' ')
}

// all returns the object, its children and the related objects.
func (o *observation) all() []*kube.Object {
	objects := append([]*kube.Object{o.object}, o.children...)
	for _, kind := range slices.SortedFunc(maps.Keys(o.related), compareKinds) {
		objects = append(objects, o.related[kind]...)
	}
	return objects
}

func compareKinds(a, b schema.GroupVersionKind) int { return cmp.Compare(a.String(), b.String()) }

// request builds what the module may know.
func (r *Reconciler) request(observed *observation) []byte {
	request := abi.Request{
		Controller: r.controller.Name,
		Object:     r.controller.View.of(observed.object),
		Children:   make(abi.Objects, len(r.controller.Owns)),
		Finalizing: observed.finalizing,
		Settings:   r.controller.Settings,
	}
	size := len(observed.object.JSON) + len(r.controller.Settings) + 256
	for _, kind := range r.controller.Owns {
		request.Children[abi.KindKey(kind.GroupVersion().String(), kind.Kind.Kind)] = map[string]json.RawMessage{}
	}
	for _, child := range observed.children {
		byName := request.Children[abi.KindKey(child.Kind.GroupVersion().String(), child.Kind.Kind)]
		byName[abi.NameKey(child.Namespace, child.Name)] = r.view(child.Kind).of(child)
		size += len(child.JSON) + 128
	}
	for kind, objects := range observed.related {
		byName, view := make(map[string]json.RawMessage, len(objects)), r.controller.Related.Views[kind]
		for _, object := range objects {
			byName[abi.NameKey(object.Namespace, object.Name)] = view.of(object)
			size += len(object.JSON) + 128
		}
		if request.Related == nil {
			request.Related = abi.Objects{}
		}
		request.Related[abi.KindKey(kind.GroupVersion().String(), kind.Kind)] = byName
	}
	if r.controller.Clock {
		request.Now = r.now().UTC().Format(time.RFC3339)
	}
	return request.AppendJSON(make([]byte, 0, size))
}
