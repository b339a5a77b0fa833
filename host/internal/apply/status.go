package apply

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// StatusOptions say how a kind has its status.
type StatusOptions struct {
	// Subresource is true if the kind has a status subresource. Otherwise its status is a field like others.
	Subresource bool
	// ObservedGeneration is true if the kind's conditions have an observedGeneration, and it may be filled in.
	ObservedGeneration bool
	// Now is the time of a condition's transition.
	Now time.Time
}

// Status makes status the part of object's status that is ours. It returns nil if it was so already, otherwise the
// object as the API server has it now. What it returns and what was given share nothing.
func (a *Applier) Status(ctx context.Context, object *unstructured.Unstructured, status map[string]any, options StatusOptions) (*unstructured.Unstructured, error) {
	dropNulls(status)
	current, _ := object.Object["status"].(map[string]any)
	completeConditions(status, current, object.GetGeneration(), options)
	manager, subresource := a.manager, "status"
	if !options.Subresource {
		manager, subresource = a.manager+"/status", ""
	}
	if statusHolds(object, status, manager, subresource) {
		return nil, nil
	}
	patch := identify(object)
	patch.Object["status"] = status
	dropEmptied(managedFields(object, manager, subresource), patch.Object)
	configuration := client.ApplyConfigurationFromUnstructured(patch)
	var err error
	if options.Subresource {
		err = a.writer.Status().Apply(ctx, configuration, client.FieldOwner(manager), client.ForceOwnership)
	} else {
		err = a.writer.Apply(ctx, configuration, client.FieldOwner(manager), client.ForceOwnership)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write the status of %s: %w", SubjectOf(object), err)
	}
	return patch, nil
}

// statusHolds says whether object has status already, and nothing of ours beyond it.
func statusHolds(object *unstructured.Unstructured, status map[string]any, manager, subresource string) bool {
	fields := managedFields(object, manager, subresource)
	if fields == nil && len(status) == 0 {
		return true
	}
	desired := map[string]any{"status": status}
	current := map[string]any{"status": object.Object["status"]}
	return covers(fields, current, desired) && within(fields, desired) && contains(fields, current, desired)
}

// identify returns an object with no more than what tells the API server which one is meant.
func identify(object *unstructured.Unstructured) *unstructured.Unstructured {
	id := &unstructured.Unstructured{Object: map[string]any{}}
	id.SetGroupVersionKind(object.GroupVersionKind())
	id.SetName(object.GetName())
	id.SetNamespace(object.GetNamespace())
	id.SetUID(object.GetUID())
	return id
}

// completeConditions fills in what a pure function cannot know of its conditions: since when they are as they are, and
// for which generation.
func completeConditions(status, current map[string]any, generation int64, options StatusOptions) {
	conditions, _ := status["conditions"].([]any)
	for _, item := range conditions {
		condition, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if _, there := condition["lastTransitionTime"]; !there {
			condition["lastTransitionTime"] = transition(condition, current, options.Now)
		}
		if _, there := condition["observedGeneration"]; !there && options.ObservedGeneration && options.Subresource {
			condition["observedGeneration"] = generation
		}
	}
}

// transition returns since when a condition has its status: since before, if it had it before.
func transition(condition, current map[string]any, now time.Time) any {
	before, _ := current["conditions"].([]any)
	for _, item := range before {
		old, _ := item.(map[string]any)
		if since := old["lastTransitionTime"]; since != nil && old["type"] == condition["type"] && old["status"] == condition["status"] {
			return since
		}
	}
	return now.UTC().Format(time.RFC3339)
}
