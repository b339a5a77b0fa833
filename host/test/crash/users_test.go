package crash

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// user is who writes when nothing else is said.
const user = "user"

// create creates an object. by is who does it, "" for a user.
func (w *world) create(by, text string) { w.createObject(by, object(text)) }

func (w *world) createObject(by string, sent unstructuredObject) {
	if by == "" {
		by = user
	}
	w.do(apiserver.Request{
		Verb: apiserver.Create, Kind: sent.GroupVersionKind(), Object: sent, Manager: by,
		NamespacedName: types.NamespacedName{Namespace: sent.GetNamespace(), Name: sent.GetName()},
	})
}

// do has somebody else than the host do something. That it fails may be right.
func (w *world) do(request apiserver.Request) {
	if request.Name == "" && request.Object != nil {
		request.Name = request.Object.GetName()
	}
	_, err := w.server.Do(context.Background(), request)
	w.note("%s: %s%s", request.Manager, describe(request), orError(err))
}

// get returns an object as it is, nil if there is none.
func (w *world) get(id kube.ID) unstructuredObject {
	return w.server.Get(id.GroupVersionKind, id.NamespacedName)
}

// edit changes an object, if it is there.
func (w *world) edit(by string, id kube.ID, change func(object unstructuredObject)) {
	edited := w.get(id)
	if edited == nil {
		return
	}
	referred := len(edited.GetOwnerReferences()) > 0
	change(edited)
	if referred && len(edited.GetOwnerReferences()) == 0 {
		w.stripped[id] = true
	}
	w.do(apiserver.Request{Verb: apiserver.Update, Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName, Object: edited, Manager: by})
}

// remove deletes an object.
func (w *world) remove(id kube.ID) { w.removeBy(user, id) }

func (w *world) removeBy(by string, id kube.ID) {
	w.do(apiserver.Request{Verb: apiserver.Delete, Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName, Manager: by})
}

// unhang takes the finalizers of others off an object and its children, so that it can go.
func (w *world) unhang(kube.ID) {
	for _, each := range w.objects() {
		for _, finalizer := range each.GetFinalizers() {
			if finalizer == foreignFinalizer {
				w.edit(user, idOf(each), func(o unstructuredObject) { without(o, foreignFinalizer) })
			}
		}
	}
}

// foreignFinalizer is the finalizer of somebody else.
const foreignFinalizer = "example.com/slow"

func without(object unstructuredObject, finalizer string) {
	var left []string
	for _, each := range object.GetFinalizers() {
		if each != finalizer {
			left = append(left, each)
		}
	}
	object.SetFinalizers(left)
}

// wants makes a Thing in the namespace default, or has it want something else.
func (w *world) wants(name, answer string) { w.specify(id(thing, name), "answer", value(answer)) }

// specify sets a field of an object's spec, and makes the object if need be.
func (w *world) specify(id kube.ID, field string, to map[string]any) {
	if live := w.get(id); live == nil || live.GetDeletionTimestamp() != nil {
		made := object(fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s}}", id.GroupVersion(), id.Kind, id.Name))
		made.SetNamespace(id.Namespace)
		made.Object["spec"] = map[string]any{field: to}
		w.createObject(user, made)
		return
	}
	w.edit(user, id, func(o unstructuredObject) {
		spec, _ := o.Object["spec"].(map[string]any)
		if spec == nil {
			spec = map[string]any{}
		}
		spec[field] = to
		o.Object["spec"] = spec
	})
}

// id names an object in the namespace default, or a cluster-scoped one.
func id(kind reconcile.Kind, name string) kube.ID {
	named := kube.ID{GroupVersionKind: kind.GroupVersionKind, NamespacedName: types.NamespacedName{Name: name}}
	if kind.Namespaced {
		named.Namespace = "default"
	}
	return named
}

// elsewhere names an object in the namespace other.
func elsewhere(kind reconcile.Kind, name string) kube.ID {
	named := id(kind, name)
	named.Namespace = "other"
	return named
}

func idOf(object unstructuredObject) kube.ID {
	return kube.ID{GroupVersionKind: object.GroupVersionKind(), NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}}
}

// parents returns all objects that are reconciled.
func (w *world) parents() (ids []kube.ID) {
	for _, each := range w.objects() {
		if isParent(each.GroupVersionKind()) {
			ids = append(ids, idOf(each))
		}
	}
	return ids
}

func isParent(kind schema.GroupVersionKind) bool { return kind.Group == "crash.test" }

var errLost = apierrors.NewTimeoutError("the answer is lost", 0)

// waits excuses a child that its parent waits for, of which no event needs to say so.
func (w *world) waits(name string) {
	for _, parent := range w.parents() {
		w.events = append(w.events, event{object: w.get(parent).GetUID(), message: id(configMap, name).String()})
	}
}
