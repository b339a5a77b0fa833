package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// module is a module that is a function: pure, as all modules are.
type module struct {
	// digest tells it from others.
	digest string
	answer func(request *request) (map[string]any, error)
}

// request is what a module may know.
type request struct {
	Controller string
	Object     map[string]any
	Children   map[string]map[string]map[string]any
	Finalizing bool
}

// call calls the module with an encoded request.
func (m module) call(encoded []byte) ([]byte, error) {
	decoded := &request{}
	if err := json.Unmarshal(encoded, decoded); err != nil {
		return nil, err
	}
	answer, err := m.answer(decoded)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// asked returns the module of a controller as the host that starts now has it.
func (w *world) asked(controller string) reconcile.Module {
	m := w.modules[controller]
	return reconcile.ModuleFunc(func(_ context.Context, request []byte, _ func(abi.Level, string)) ([]byte, error) {
		return m.call(request)
	})
}

func (r *request) spec(field string) map[string]any {
	spec, _ := r.Object["spec"].(map[string]any)
	value, _ := spec[field].(map[string]any)
	if value == nil {
		return map[string]any{}
	}
	return value
}

// answering is a module that answers what the object's spec.answer says, and fails where it says fail: true.
var answering = module{"answering", func(r *request) (map[string]any, error) {
	answer := r.spec("answer")
	if answer["fail"] == true {
		return nil, errors.New("the module fails on purpose")
	}
	return answer, nil
}}

// each is a module for several controllers: each has its own part of the spec.
var each = module{"each", func(r *request) (map[string]any, error) { return r.spec(r.Controller), nil }}

// marking is another version of answering: it says in each ConfigMap that it is.
var marking = module{"marking", func(r *request) (map[string]any, error) {
	answer, err := answering.answer(r)
	children, _ := answer["children"].([]any)
	for _, item := range children {
		if child, _ := item.(map[string]any); child["kind"] == "ConfigMap" {
			child["data"] = map[string]any{"made": "by the new module"}
		}
	}
	return answer, err
}}

// counting is answering, until the object is to go: then it counts up a ConfigMap in three rounds.
var counting = module{"counting", func(r *request) (map[string]any, error) {
	if !r.Finalizing {
		return answering.answer(r)
	}
	rounds := 0
	data, _ := r.Children["ConfigMap.v1"]["default/farewell"]["data"].(map[string]any)
	if text, ok := data["rounds"].(string); ok {
		if _, err := fmt.Sscan(text, &rounds); err != nil {
			return nil, err
		}
	}
	if rounds == 3 {
		return map[string]any{"finalized": true}, nil
	}
	child := value("{apiVersion: v1, kind: ConfigMap, metadata: {name: farewell}}")
	child["data"] = map[string]any{"rounds": fmt.Sprint(rounds + 1)}
	return map[string]any{"children": []any{child}}, nil
}}
