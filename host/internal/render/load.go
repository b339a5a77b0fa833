package render

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// somebody is the field manager of whoever has made what there is from the start.
const somebody = "observed"

// load creates the objects of a plan, and the namespaces that they need.
func (c *Cluster) load(ctx context.Context) error {
	objects := slices.Clone(c.plan.objects)
	slices.SortStableFunc(objects, func(a, b Object) int { return rankOf(a) - rankOf(b) })
	for _, object := range objects {
		if err := c.needNamespace(ctx, object.GetNamespace()); err != nil {
			return err
		}
		if err := c.create(ctx, object); err != nil {
			return fmt.Errorf("cannot create %s: %w", IDOf(object), err)
		}
	}
	for _, object := range objects {
		if err := c.complete(ctx, object); err != nil {
			return fmt.Errorf("cannot complete %s: %w", IDOf(object), err)
		}
	}
	return nil
}

// rankOf has namespaces and definitions come before what needs them.
func rankOf(object Object) int {
	switch object.GroupVersionKind().GroupKind() {
	case reconcile.NamespaceKind.GroupKind():
		return 0
	case definitionKind:
		return 1
	default:
		return 2
	}
}

func (c *Cluster) needNamespace(ctx context.Context, name string) error {
	id := kube.ID{GroupVersionKind: reconcile.NamespaceKind, NamespacedName: types.NamespacedName{Name: name}}
	if name == "" || c.server.Has(id.GroupVersionKind, id.NamespacedName) {
		return nil
	}
	namespace := &unstructured.Unstructured{Object: map[string]any{}}
	namespace.SetGroupVersionKind(id.GroupVersionKind)
	namespace.SetName(name)
	return c.create(ctx, namespace)
}

// create creates an object without what refers to others, and with its status.
func (c *Cluster) create(ctx context.Context, object Object) error {
	id := IDOf(object)
	if id.GroupVersionKind == reconcile.NamespaceKind {
		if there := c.server.Get(id.GroupVersionKind, id.NamespacedName); there != nil {
			return c.relabel(ctx, there, object)
		}
	}
	made := object.DeepCopy()
	for _, field := range []string{"resourceVersion", "managedFields", "ownerReferences"} {
		unstructured.RemoveNestedField(made.Object, "metadata", field)
	}
	for _, mark := range []string{apply.AnnotationOwnedBy, apply.AnnotationApplied} {
		unstructured.RemoveNestedField(made.Object, "metadata", "annotations", mark)
	}
	if _, err := c.server.Do(ctx, requestOf(apiserver.Create, made)); err != nil {
		return err
	}
	status, has := object.Object["status"]
	if !has || !c.hasStatus(ctx, id.GroupVersionKind) {
		return nil // or else it was created with it
	}
	live := c.server.Get(id.GroupVersionKind, id.NamespacedName)
	if live == nil {
		return nil
	}
	live.Object["status"] = status
	request := requestOf(apiserver.Update, live)
	request.Subresource = "status"
	_, err := c.server.Do(ctx, request)
	return err
}

// relabel gives a namespace that is there from the start what an object says of it.
func (c *Cluster) relabel(ctx context.Context, there, object Object) error {
	there.SetLabels(merged(there.GetLabels(), object.GetLabels()))
	there.SetAnnotations(merged(there.GetAnnotations(), object.GetAnnotations()))
	_, err := c.server.Do(ctx, requestOf(apiserver.Update, there))
	return err
}

func merged(a, b map[string]string) map[string]string {
	both := map[string]string{}
	maps.Copy(both, a)
	maps.Copy(both, b)
	if len(both) == 0 {
		return nil
	}
	return both
}

func (c *Cluster) hasStatus(ctx context.Context, kind schema.GroupVersionKind) bool {
	found, err := c.plan.kinds.served(ctx, kind)
	return err == nil && found.Status.Subresource
}

// complete adds to an object what refers to others, which are there now, and deletes it if it says that it is being deleted.
func (c *Cluster) complete(ctx context.Context, object Object) error {
	owner, isChild := c.plan.ownerOf(object)
	if !isChild && object.GetDeletionTimestamp() == nil && len(object.GetOwnerReferences()) == 0 {
		return nil
	}
	live := c.server.Get(object.GroupVersionKind(), IDOf(object).NamespacedName)
	if live == nil {
		return nil
	}
	if references := c.references(object); len(references) > 0 {
		live.SetOwnerReferences(references)
		if _, err := c.server.Do(ctx, requestOf(apiserver.Update, live)); err != nil {
			return err
		}
	}
	if isChild {
		if err := c.stamp(ctx, live, owner); err != nil {
			return err
		}
	}
	if object.GetDeletionTimestamp() == nil {
		return nil
	}
	_, err := c.server.Do(ctx, requestOf(apiserver.Delete, live))
	return err
}

// references returns the owner references of an object, with the UIDs that their owners have here. Those to owners that are
// not here stay as they are.
func (c *Cluster) references(object Object) []metav1.OwnerReference {
	references := object.GetOwnerReferences()
	for i := range references {
		owner := schema.FromAPIVersionAndKind(references[i].APIVersion, references[i].Kind)
		for _, namespace := range []string{object.GetNamespace(), ""} {
			if live := c.server.Get(owner, types.NamespacedName{Namespace: namespace, Name: references[i].Name}); live != nil {
				references[i].UID = live.GetUID()
			}
		}
		if references[i].UID == "" {
			references[i].UID = "ffffffff-0000-4000-8000-000000000000" // required, and nobody's
		}
	}
	return references
}

// stamp makes an object a child as the host would have: with what says so, which the controller owns.
func (c *Cluster) stamp(ctx context.Context, child Object, owner kube.ID) error {
	live := c.server.Get(owner.GroupVersionKind, owner.NamespacedName)
	if live == nil {
		return nil
	}
	id, stamped := IDOf(child), &unstructured.Unstructured{Object: map[string]any{}}
	stamped.SetGroupVersionKind(id.GroupVersionKind)
	stamped.SetNamespace(id.Namespace)
	stamped.SetName(id.Name)
	stamped.SetAnnotations(map[string]string{
		apply.AnnotationOwnedBy: strings.Join([]string{c.plan.entry.Name, string(live.GetUID()), id.Kind, id.Namespace, id.Name}, "/"),
	})
	options := c.plan.applyOptions().Kinds[id.GroupVersionKind]
	if reaches := owner.Namespace == "" || owner.Namespace == id.Namespace; reaches && !options.Orphan {
		reference := metav1.OwnerReference{APIVersion: owner.GroupVersion().String(), Kind: owner.Kind, Name: owner.Name, UID: live.GetUID()}
		if !options.NotController {
			reference.Controller = new(true)
		}
		stamped.SetOwnerReferences([]metav1.OwnerReference{reference})
	}
	request := requestOf(apiserver.Apply, stamped)
	request.Manager, request.Force = apply.FieldManager(c.plan.entry.Name), true
	_, err := c.server.Do(ctx, request)
	return err
}

// requestOf returns a request of somebody's for an object.
func requestOf(verb apiserver.Verb, object Object) apiserver.Request {
	id := IDOf(object)
	return apiserver.Request{Verb: verb, Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName, Object: object, Manager: somebody}
}
