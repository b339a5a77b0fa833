package render

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Result is what came of one object, as people want to see it: without what a server or the host adds.
type Result struct {
	// Of names the object where there are results of several.
	Of *abi.Reference `json:"of,omitempty"`
	// Children are the wanted children in the order of the answer. nil: the module has no opinion.
	Children []Object `json:"children"`
	// Object has what the answer sets of the object itself: status, labels, annotations. nil: nothing.
	Object Object `json:"object,omitempty"`
	// Deleted are the children that were there and are not wanted any more.
	Deleted []abi.Reference `json:"deleted,omitempty"`
	// Events are those that were recorded on the object.
	Events []abi.Event `json:"events,omitempty"`
	// RequeueAfter is when the module asks to be called again.
	RequeueAfter string `json:"requeueAfter,omitempty"`
	// Error is why the last reconcile failed.
	Error string `json:"error,omitempty"`
}

// Result returns what came of an object.
func (c *Cluster) Result(outcome *Outcome) *Result {
	return c.result(outcome, c.deletions())
}

// Results returns what came of all objects, in the order of Outcomes.
func (c *Cluster) Results() []*Result {
	outcomes, deletions := c.Outcomes(), c.deletions()
	results := make([]*Result, len(outcomes))
	for i, outcome := range outcomes {
		results[i] = c.result(outcome, deletions)
		results[i].Of = new(referenceTo(outcome.ID))
	}
	return results
}

func (c *Cluster) result(outcome *Outcome, deletions map[kube.ID][]abi.Reference) *Result {
	r := &Result{Events: outcome.Events, Deleted: deletions[outcome.ID]}
	if outcome.Err != nil {
		r.Error = outcome.message()
	}
	answer := outcome.Answer()
	if answer == nil || answer.Error != nil {
		return r
	}
	if after := outcome.RequeueAfter(); after > 0 {
		r.RequeueAfter = after.String()
	}
	if answer.Children != nil {
		r.Children = []Object{}
	}
	for _, child := range answer.Children {
		object := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(child)}
		if id := c.plan.childID(child.Reference(), outcome.ID.Namespace); id.Namespace != "" {
			object.SetNamespace(id.Namespace)
		}
		r.Children = append(r.Children, object)
	}
	r.Object = setOn(outcome.ID, answer)
	return r
}

// setOn returns what an answer sets of the object itself.
func setOn(id kube.ID, answer *abi.Response) Object {
	if answer.Status == nil && len(answer.Labels)+len(answer.Annotations) == 0 {
		return nil
	}
	object := identity(id)
	metadata := object.Object["metadata"].(map[string]any)
	for field, values := range map[string]map[string]*string{"labels": answer.Labels, "annotations": answer.Annotations} {
		set := map[string]any{}
		for key, value := range values {
			if set[key] = nil; value != nil {
				set[key] = *value
			}
		}
		if len(set) > 0 {
			metadata[field] = set
		}
	}
	if answer.Status != nil {
		object.Object["status"] = runtime.DeepCopyJSON(answer.Status)
	}
	return object
}

// identity returns an object that has nothing but its name.
func identity(id kube.ID) Object {
	object := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{}}}
	object.SetGroupVersionKind(id.GroupVersionKind)
	object.SetName(id.Name)
	if id.Namespace != "" {
		object.SetNamespace(id.Namespace)
	}
	return object
}

// deletions returns the children that there were at first and that are gone, by the objects that had them.
func (c *Cluster) deletions() map[kube.ID][]abi.Reference {
	gone, now, owners := map[kube.ID][]abi.Reference{}, c.cache.all(), map[types.UID]kube.ID{}
	for id, object := range c.initial {
		owners[object.GetUID()] = id
	}
	for _, id := range sortedIDs(c.initial) {
		owner, isChild := c.plan.ownerOf(c.initial[id])
		if mark := strings.Split(c.initial[id].GetAnnotations()[apply.AnnotationOwnedBy], "/"); len(mark) > 1 && mark[0] == c.plan.entry.Name {
			owner, isChild = owners[types.UID(mark[1])] // the UIDs that objects have here
		}
		there := now[id]
		if isChild && (there == nil || there.GetUID() != c.initial[id].GetUID() || there.GetDeletionTimestamp() != nil) {
			gone[owner] = append(gone[owner], referenceTo(id))
		}
	}
	return gone
}

func referenceTo(id kube.ID) abi.Reference {
	return abi.Reference{APIVersion: id.GroupVersion().String(), Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}
}

// Object returns an object as it is now, without what servers and hosts add, nil if there is none.
func (c *Cluster) Object(id kube.ID) Object {
	return Bare(c.server.Get(id.GroupVersionKind, id.NamespacedName))
}

// Touched is an object that is not as it was at first. nil stands for none.
type Touched struct {
	ID            kube.ID
	Before, After Object
}

// Action says what was done about the object.
func (t *Touched) Action() string {
	switch {
	case t.Before == nil:
		return "created"
	case t.After == nil:
		return "deleted"
	default:
		return "changed"
	}
}

// Touched returns the objects that are not as they were at first, without what servers and hosts add.
func (c *Cluster) Touched() (touched []Touched) {
	now := c.cache.all()
	all := maps.Clone(c.initial)
	maps.Copy(all, now)
	for _, id := range sortedIDs(all) {
		before, after := Bare(c.initial[id]), Bare(now[id])
		if !reflect.DeepEqual(before, after) {
			touched = append(touched, Touched{id, before, after})
		}
	}
	return touched
}

// Children returns the names of the children that an object has now.
func (c *Cluster) Children(owner kube.ID) (ids []kube.ID) {
	live := c.server.Get(owner.GroupVersionKind, owner.NamespacedName)
	if live == nil {
		return nil
	}
	for _, kind := range c.plan.owned {
		for _, child := range sorted(c.cache.kind(kind.GroupKind()).index[c.plan.entry.Name+"/"+string(live.GetUID())]) {
			ids = append(ids, child.ID())
		}
	}
	return ids
}

// Anonymous returns text with the UIDs in it replaced by what names their objects.
func (c *Cluster) Anonymous(text []byte) []byte {
	for id, object := range c.cache.all() {
		text = bytes.ReplaceAll(text, []byte(object.GetUID()), []byte("uid of "+id.String()))
	}
	return text
}

// serverFields are the fields of metadata that servers fill in.
var serverFields = []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}

// Bare returns an object without what servers and hosts add.
func Bare(object Object) Object {
	if object == nil {
		return nil
	}
	bare := object.DeepCopy()
	for _, field := range serverFields {
		unstructured.RemoveNestedField(bare.Object, "metadata", field)
	}
	annotations := bare.GetAnnotations()
	maps.DeleteFunc(annotations, func(key, _ string) bool { return strings.HasPrefix(key, abi.HostPrefix) })
	bare.SetAnnotations(annotations)
	if len(annotations) == 0 {
		unstructured.RemoveNestedField(bare.Object, "metadata", "annotations")
	}
	unstructured.RemoveNestedField(bare.Object, "metadata", "ownerReferences")
	finalizers := slices.DeleteFunc(bare.GetFinalizers(), func(name string) bool { return strings.HasPrefix(name, abi.HostPrefix) })
	if bare.SetFinalizers(finalizers); len(finalizers) == 0 {
		unstructured.RemoveNestedField(bare.Object, "metadata", "finalizers")
	}
	return bare
}

// Portable returns an object as it can be written down: without what servers fill in, and with references to owners by name.
func Portable(object Object) Object {
	portable := Bare(object)
	references := object.GetOwnerReferences()
	written := make([]any, 0, len(references))
	for _, reference := range references {
		owner := map[string]any{"apiVersion": reference.APIVersion, "kind": reference.Kind, "name": reference.Name}
		if reference.Controller != nil && *reference.Controller {
			owner["controller"] = true
		}
		written = append(written, owner)
	}
	if len(written) > 0 {
		portable.Object["metadata"].(map[string]any)["ownerReferences"] = written
	} else if mark := object.GetAnnotations()[apply.AnnotationOwnedBy]; mark != "" {
		annotations := merged(portable.GetAnnotations(), map[string]string{apply.AnnotationOwnedBy: mark})
		portable.SetAnnotations(annotations)
	}
	return portable
}

// Objects returns all objects as they can be written down, but those that every cluster has.
func (c *Cluster) Objects() (objects []Object) {
	all := c.cache.all()
	for _, id := range sortedIDs(all) {
		if id.Kind != "Namespace" || c.plan.has(id) {
			objects = append(objects, Portable(all[id]))
		}
	}
	return objects
}

// outcomeKind is the kind of the document in which Documents puts what is no object.
const outcomeKind = "RenderOutcome"

// Documents returns a result as a list of documents: the children, the object with what is set of it, and what else there is to
// be said.
func (r *Result) Documents() []map[string]any {
	var documents []map[string]any
	for _, child := range r.Children {
		documents = append(documents, child.Object)
	}
	if r.Object != nil {
		documents = append(documents, r.Object.Object)
	}
	rest := map[string]any{}
	if r.Children == nil && r.Error == "" {
		rest["children"] = "no opinion"
	}
	if len(r.Deleted) > 0 {
		rest["deleted"] = r.Deleted
	}
	if len(r.Events) > 0 {
		rest["events"] = r.Events
	}
	if r.RequeueAfter != "" {
		rest["requeueAfter"] = r.RequeueAfter
	}
	if r.Error != "" && !slices.ContainsFunc(r.Events, func(event abi.Event) bool { return event.Message == r.Error }) {
		rest["error"] = r.Error
	}
	if len(rest) > 0 || len(documents) == 0 {
		if r.Of != nil {
			rest["of"] = r.Of
		}
		rest["apiVersion"], rest["kind"] = "wasmloop.dev/v1alpha1", outcomeKind
		documents = append(documents, rest)
	}
	return documents
}
