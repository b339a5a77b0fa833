package apiserver

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// managed notes in an object's managedFields who has made of live what it is.
func (w *write) managed(live, object *unstructured.Unstructured) *unstructured.Unstructured {
	manager := w.kind.managers[w.request.Subresource]
	noted := manager.UpdateNoErrors(live, object, w.request.Manager).(*unstructured.Unstructured)
	w.server.stampTimes(noted, live)
	return noted
}

// stampTimes puts the server's time where the field manager has put that of the machine: into the entries that are not
// as they were. live is nil if there was no object.
func (s *Server) stampTimes(object, live *unstructured.Unstructured) {
	now := s.options.Now().UTC().Format(time.RFC3339)
	before := map[entryID]any{}
	for _, entry := range managedEntries(live) {
		before[idOf(entry)] = entry["time"]
	}
	for _, entry := range managedEntries(object) {
		if then, there := before[idOf(entry)]; !there || entry["time"] != then {
			entry["time"] = now
		}
	}
}

// entryID tells the entries of managedFields apart.
type entryID struct{ manager, operation, version, subresource any }

func idOf(entry map[string]any) entryID {
	return entryID{entry["manager"], entry["operation"], entry["apiVersion"], entry["subresource"]}
}

func managedEntries(object *unstructured.Unstructured) []map[string]any {
	if object == nil {
		return nil
	}
	metadata, _ := object.Object["metadata"].(map[string]any)
	list, _ := metadata["managedFields"].([]any)
	entries := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if entry, ok := item.(map[string]any); ok {
			entries = append(entries, entry)
		}
	}
	return entries
}

// keepTimes puts the times of managedFields back if they are all that differs from live, so that a write that changes
// nothing is none.
func keepTimes(object, live *unstructured.Unstructured) {
	fresh, old := managedEntries(object), managedEntries(live)
	if len(fresh) != len(old) {
		return
	}
	times := make([]any, len(fresh))
	for i, entry := range fresh {
		times[i] = entry["time"]
		entry["time"] = old[i]["time"]
	}
	if isSame(object.Object, live.Object) {
		return
	}
	for i, entry := range fresh {
		entry["time"] = times[i]
	}
}
