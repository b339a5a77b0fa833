package apply

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/kube"
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
// object as the API server has it now.
func (a *Applier) Status(ctx context.Context, object *kube.Object, status map[string]any, options StatusOptions) (*kube.Object, error) {
	dropNulls(status)
	value, err := object.Field("status")
	if err != nil {
		return nil, err
	}
	current, _ := value.(map[string]any)
	completeConditions(status, current, object.Generation, options)
	write := kube.Write{Manager: a.manager, Subresource: "status"}
	if !options.Subresource {
		write = kube.Write{Manager: a.manager + "/status"}
	}
	fields := object.ManagedFields(write.Manager, write.Subresource)
	if statusHolds(fields, current, status) {
		return nil, nil
	}
	written, err := a.writeStatus(ctx, object, fields, status, write)
	if err != nil {
		return nil, fmt.Errorf("cannot write the status of %s: %w", object, err)
	}
	return written, nil
}

func (a *Applier) writeStatus(ctx context.Context, object *kube.Object, fields fieldSet, status map[string]any, write kube.Write) (*kube.Object, error) {
	patch := map[string]any{
		"apiVersion": object.Kind.GroupVersion().String(), "kind": object.Kind.Kind, "status": status,
		"metadata": map[string]any{"name": object.Name, "uid": string(object.UID)},
	}
	dropEmptied(fields, patch)
	body, err := kube.AppendJSON(nil, patch)
	if err != nil {
		return nil, fmt.Errorf("cannot encode it: %w", err)
	}
	return a.writer.Apply(ctx, object.ID(), body, write)
}

// statusHolds says whether an object has status already, and nothing of ours beyond it.
func statusHolds(fields fieldSet, current, status map[string]any) bool {
	if fields == nil && len(status) == 0 {
		return true
	}
	desired := map[string]any{"status": status}
	has := map[string]any{"status": nil}
	if current != nil {
		has["status"] = current
	}
	return covers(fields, has, desired) && within(fields, desired) && contains(fields, has, desired)
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
