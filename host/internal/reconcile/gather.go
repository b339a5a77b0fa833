package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// ChildIndex is the name of the cache's index that finds the children of an object, by ChildIndexKey.
const ChildIndex = "wasmloop.dev/children"

// ChildIndexKey is the key in ChildIndex of the children that a controller has for an owner.
func ChildIndexKey(controller string, owner types.UID) string {
	return controller + "/" + string(owner)
}

// ChildIndexKeys returns the keys of an object in ChildIndex: one if it is somebody's child, else none.
func ChildIndexKeys(object client.Object) []string {
	controller, owner, ok := apply.ClaimedBy(object)
	if !ok {
		return nil
	}
	return []string{ChildIndexKey(controller, owner)}
}

// observation is what the cache knows of an object. It is shared with the cache and must not be changed.
type observation struct {
	object   *unstructured.Unstructured
	children []*unstructured.Unstructured
}

// gather reads an object's children from the cache.
func (r *Reconciler) gather(ctx context.Context, object *unstructured.Unstructured) (*observation, error) {
	observed := &observation{object: object}
	owner := apply.OwnerOf(r.controller.Name, object)
	key := client.MatchingFields{ChildIndex: ChildIndexKey(r.controller.Name, object.GetUID())}
	for _, kind := range r.controller.Owns {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersionKind)
		if err := r.reader.List(ctx, list, key); err != nil {
			return nil, fmt.Errorf("cannot list the children of kind %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			if child := &list.Items[i]; owner.Owns(child) {
				observed.children = append(observed.children, child)
			}
		}
	}
	slices.SortFunc(observed.children, func(a, b *unstructured.Unstructured) int { return cmp.Compare(a.GetUID(), b.GetUID()) })
	return observed, nil
}

// fingerprint tells observations apart at no more cost than their versions.
func (o *observation) fingerprint() string {
	var b strings.Builder
	for _, object := range append([]*unstructured.Unstructured{o.object}, o.children...) {
		b.WriteString(string(object.GetUID()))
		b.WriteByte('@')
		b.WriteString(object.GetResourceVersion())
		b.WriteByte(' ')
	}
	return b.String()
}

// request builds what the module may know.
func (r *Reconciler) request(observed *observation) ([]byte, error) {
	request := abi.Request{
		Controller: r.controller.Name,
		Children:   make(abi.Objects, len(r.controller.Owns)),
		Settings:   r.controller.Settings,
	}
	var err error
	if request.Object, err = encode(observed.object); err != nil {
		return nil, err
	}
	for _, kind := range r.controller.Owns {
		request.Children[abi.KindKey(kind.GroupVersion().String(), kind.Kind)] = map[string]json.RawMessage{}
	}
	for _, child := range observed.children {
		byName := request.Children[abi.KindKey(child.GetAPIVersion(), child.GetKind())]
		if byName[abi.NameKey(child.GetNamespace(), child.GetName())], err = encode(child); err != nil {
			return nil, err
		}
	}
	if r.controller.Clock {
		request.Now = r.now().UTC().Format(time.RFC3339)
	}
	return request.AppendJSON(nil), nil
}

// encode writes an object as modules see it: without what changes though nothing that matters does, and without the
// host's own marks.
func encode(object *unstructured.Unstructured) (json.RawMessage, error) {
	shown := maps.Clone(object.Object)
	if metadata, ok := shown["metadata"].(map[string]any); ok {
		shown["metadata"] = shownMetadata(metadata)
	}
	encoded, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", apply.SubjectOf(object), err)
	}
	return encoded, nil
}

func shownMetadata(metadata map[string]any) map[string]any {
	shown := make(map[string]any, len(metadata))
	for key, value := range metadata {
		switch key {
		case "managedFields", "resourceVersion":
		case "annotations":
			if annotations := withoutHostKeys(value); len(annotations) > 0 {
				shown[key] = annotations
			}
		default:
			shown[key] = value
		}
	}
	return shown
}

func withoutHostKeys(value any) map[string]any {
	annotations, _ := value.(map[string]any)
	shown := make(map[string]any, len(annotations))
	for key, value := range annotations {
		if !strings.HasPrefix(key, abi.HostPrefix) {
			shown[key] = value
		}
	}
	return shown
}
