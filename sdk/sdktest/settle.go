package sdktest

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// maxRounds is how many calls a module has to come to rest.
const maxRounds = 5

// Settle calls a module until it is at rest: it applies each response to the request, as the host applies it to the
// cluster, and calls again, until a response changes nothing. It returns that last response. A module that does not
// come to rest within a few calls fails the test: in a cluster it would never stop writing.
//
// The cluster of Settle does nothing by itself. Observed children keep the status that the test gave them, and new ones
// have none.
func Settle(tb testing.TB, handle sdk.Handler, request Request) *Response {
	tb.Helper()
	var previous *Response
	for range maxRounds {
		response := Reconcile(tb, handle, request)
		if previous != nil && bytes.Equal(previous.Raw, response.Raw) {
			return response
		}
		previous = response
		request = apply(tb, request, response)
	}
	tb.Fatalf("reconcile does not come to rest in %d calls; the last response is %s", maxRounds, previous.Raw)
	return nil
}

// apply returns the request that follows when a response is applied.
func apply(tb testing.TB, request Request, response *Response) Request {
	tb.Helper()
	object := mustObject(tb, request.Object)
	if response.Status != nil {
		object["status"] = map[string]any(response.Status)
	}
	setKeys(object, "labels", response.Labels)
	setKeys(object, "annotations", response.Annotations)
	request.Object = object
	if response.Children == nil {
		return request
	}
	kinds, err := declared(request)
	if err != nil {
		tb.Fatal(err)
	}
	request.Owns = kinds
	request.Children = applyChildren(tb, request.Children, response, object.Reference().Namespace)
	return request
}

// applyChildren merges each desired child over the observed one of its name, and drops those that are neither desired
// nor kept.
func applyChildren(tb testing.TB, observed []any, response *Response, namespace string) []any {
	tb.Helper()
	byRef := make(map[abi.Reference]abi.Object)
	for _, item := range observed {
		object := mustObject(tb, item)
		byRef[object.Reference()] = object
	}
	var next []any
	for _, desired := range response.Children {
		// A cluster-scoped child looks the same as one in the owner's namespace here; observed ones tell them apart.
		desired = mustObject(tb, desired)
		if _, clusterScoped := byRef[desired.Reference()]; !clusterScoped && desired.Reference().Namespace == "" && namespace != "" {
			desired["metadata"].(map[string]any)["namespace"] = namespace
		}
		delete(desired, "status")
		next = append(next, merge(byRef[desired.Reference()], desired))
	}
	for _, ref := range response.Keep {
		for _, candidate := range []string{ref.Namespace, namespace} {
			ref.Namespace = candidate
			if kept, ok := byRef[ref]; ok {
				next = append(next, kept)
				break
			}
		}
	}
	return next
}

// merge lays desired over observed as server-side apply does for maps; lists are replaced.
func merge(observed, desired map[string]any) abi.Object {
	merged := maps.Clone(desired)
	for _, key := range slices.Sorted(maps.Keys(observed)) {
		below, isMap := observed[key].(map[string]any)
		above, areMaps := desired[key].(map[string]any)
		switch {
		case isMap && areMaps:
			merged[key] = map[string]any(merge(below, above))
		case desired[key] == nil:
			merged[key] = observed[key]
		}
	}
	return merged
}

func setKeys(object abi.Object, field string, values map[string]*string) {
	if len(values) == 0 {
		return
	}
	metadata := object["metadata"].(map[string]any) // toObject has seen that it is there
	keys, _ := metadata[field].(map[string]any)
	keys = maps.Clone(keys)
	if keys == nil {
		keys = make(map[string]any)
	}
	for key, value := range values {
		if value == nil {
			delete(keys, key)
		} else {
			keys[key] = *value
		}
	}
	metadata[field] = keys
}

func mustObject(tb testing.TB, item any) abi.Object {
	tb.Helper()
	object, err := toObject(item)
	if err != nil {
		tb.Fatal(err)
	}
	return object
}
