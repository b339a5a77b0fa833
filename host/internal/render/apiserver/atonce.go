package apiserver

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// nobodys are the fields of metadata that nobody owns. They are those that Kubernetes' field manager leaves out.
var nobodys = []string{
	"name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields", "resourceVersion",
}

// identity are all fields of an object that nobody owns.
var identity = func() *fieldpath.Set {
	set := fieldpath.NewSet(fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"), fieldpath.MakePathOrDie("metadata"))
	for _, name := range nobodys {
		set.Insert(fieldpath.MakePathOrDie("metadata", name))
	}
	return set
}()

// kubectl is the field manager whose applies also keep an annotation.
const kubectl = "kubectl"

// applyNew makes of what was applied the object that it creates, as the field manager does, which compares it with an empty
// object again and again: where nothing was, what was applied is all there is, and its manager owns all of it. It returns nil
// where the field manager has more to do or to say. A test holds the two against each other.
func (w *write) applyNew() *unstructured.Unstructured {
	sent := w.request.Object
	if _, named := sent.Object["metadata"].(map[string]any); !named {
		return nil
	}
	if sent.GroupVersionKind() != w.kind.GroupVersionKind || sent.GetManagedFields() != nil || w.request.Manager == kubectl {
		return nil
	}
	object := shallow(sent)
	if w.kind.custom { // what is made of it is the same object, with defaults in it
		object = sent.DeepCopy()
	}
	fields, err := w.ownedFields(object)
	if err != nil {
		return nil // the field manager says it better
	}
	if fields == nil {
		return object
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	metadata["managedFields"] = []any{w.entry("Apply", fields)}
	return object
}

// createAtOnce notes who has created an object of a custom kind, as the field manager does. It returns nil where that has more to do.
func (w *write) createAtOnce(object *unstructured.Unstructured) *unstructured.Unstructured {
	metadata, _ := object.Object["metadata"].(map[string]any)
	if _, noted := metadata["managedFields"]; noted || !w.kind.custom || w.request.Manager == "" || metadata == nil {
		return nil
	}
	fields, ok := w.kind.created.of(object.Object, w.kind.without[""])
	if !ok || len(fields) == 0 {
		return nil
	}
	metadata["managedFields"] = []any{w.entry("Update", fields)}
	return object
}

// entry is what managedFields say of a write.
func (w *write) entry(operation string, fields map[string]any) map[string]any {
	entry := map[string]any{
		"manager": w.request.Manager, "operation": operation, "apiVersion": w.kind.GroupVersion().String(),
		"time": w.server.options.Now().UTC().Format(time.RFC3339), "fieldsType": "FieldsV1", "fieldsV1": fields,
	}
	if w.request.Subresource != "" {
		entry["subresource"] = w.request.Subresource
	}
	return entry
}

// applyStatus makes of live what the apply of a status makes of it, where the status has been nobody else's, all of it: what was
// applied is then all there is, too. Entries of managedFields that are of one second may be in another order. It returns nil where
// the field manager has more to do or to say.
func (w *write) applyStatus(live *unstructured.Unstructured) *unstructured.Unstructured {
	sent := w.request.Object
	status, says := sent.Object["status"].(map[string]any)
	if !says || live.GroupVersionKind() != w.kind.GroupVersionKind || sent.GroupVersionKind() != w.kind.GroupVersionKind || !namesOnly(sent, live) {
		return nil
	}
	entries := managedEntries(live)
	mine := slices.IndexFunc(entries, func(entry map[string]any) bool {
		return idOf(entry) == entryID{w.request.Manager, "Apply", w.kind.GroupVersion().String(), "status"}
	})
	if hasEmpty(status) || hasEmpty(live.Object["status"]) || !w.ownsStatus(live, entries, mine) || isSame(live.Object["status"], sent.Object["status"]) {
		return nil
	}
	fields, err := w.ownedFields(sent)
	if err != nil || fields == nil {
		return nil
	}
	if mine >= 0 {
		entries = slices.Delete(entries, mine, mine+1)
	}
	last := 0 // of the applies, since it is the latest
	for last < len(entries) && entries[last]["operation"] == "Apply" {
		last++
	}
	object := shallow(live)
	object.Object["status"] = runtime.DeepCopyJSON(status)
	list := make([]any, 0, len(entries)+1)
	for _, entry := range slices.Insert(entries, last, w.entry("Apply", fields)) {
		list = append(list, maps.Clone(entry)) // its time may be changed
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	metadata["managedFields"] = list
	return object
}

// namesOnly says whether the metadata of what was sent do nothing but name an object.
func namesOnly(sent, live *unstructured.Unstructured) bool {
	metadata, _ := sent.Object["metadata"].(map[string]any)
	named, _ := live.Object["metadata"].(map[string]any)
	for name, value := range metadata {
		if name != "name" && name != "namespace" && name != "uid" || named[name] != value {
			return false
		}
	}
	return true
}

// hasEmpty says whether there is an empty object or list in a value. Of one that is emptied the field manager may make null, and
// one that is empty may be nobody's.
func hasEmpty(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			if hasEmpty(item) {
				return true
			}
		}
		return len(v) == 0
	case []any:
		return len(v) == 0 || slices.ContainsFunc(v, hasEmpty)
	}
	return false
}

// ownsStatus says whether the status of live is all that one entry of its managedFields has, and that no other one has any of it.
// mine is the index of the entry, or below 0 if there is none, which goes with there being no status.
func (w *write) ownsStatus(live *unstructured.Unstructured, entries []map[string]any, mine int) bool {
	for i, entry := range entries {
		if fields, _ := entry["fieldsV1"].(map[string]any); i != mine && fields["f:status"] != nil {
			return false
		}
	}
	status, there := live.Object["status"]
	if !there || mine < 0 {
		return !there && mine < 0
	}
	fields, err := w.ownedFields(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": live.Object["apiVersion"], "kind": live.Object["kind"], "status": status,
	}})
	return err == nil && isSame(fields, entries[mine]["fieldsV1"])
}

// ownedFields returns the fields that whoever applies an object owns, nil if there are none.
func (w *write) ownedFields(object *unstructured.Unstructured) (fields map[string]any, err error) {
	if fields, ok := w.kind.fields.of(object.Object, w.kind.without[w.request.Subresource]); ok && len(fields) > 0 {
		return fields, nil
	}
	return w.ownedPaths(object)
}

// ownedPaths does the same as Kubernetes' field manager does it, and says what is wrong with the object.
func (w *write) ownedPaths(object *unstructured.Unstructured) (fields map[string]any, err error) {
	typed, err := w.kind.types().ObjectToTyped(object)
	if err != nil {
		return nil, err
	}
	set, err := typed.ToFieldSet()
	if err != nil {
		return nil, err
	}
	if filter := w.kind.filters[w.request.Subresource]; filter != nil {
		set = filter.Filter(set)
	}
	if set = set.Difference(identity); set.Empty() {
		return nil, nil
	}
	encoded, err := set.ToJSON()
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(encoded, &fields)
}
