package golden

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// step is a change of the cluster and what must hold after it. The fields are those of steps.yaml.
type step struct {
	// Name says what the step is.
	Name string `json:"name"`
	// Apply are objects that are made or changed, by a server-side apply.
	Apply []map[string]any `json:"apply"`
	// Patch changes fields of objects, by a merge patch.
	Patch []patch `json:"patch"`
	// Delete names objects that are deleted.
	Delete []abi.Reference `json:"delete"`
	// After lets so much time pass, and what is due then happen.
	After string `json:"after"`
	// Restart has the host start anew: it remembers nothing.
	Restart bool `json:"restart"`
	// Want must hold when nothing happens any more.
	Want want `json:"want"`

	apply []render.Object
	after time.Duration
}

type patch struct {
	abi.Reference
	// Subresource is "status", or empty.
	Subresource string `json:"subresource"`
	// Patch has the fields; null removes.
	Patch map[string]any `json:"patch"`
}

type want struct {
	// Objects must be there, with at least these fields. Lists must be as long as here.
	Objects []map[string]any `json:"objects"`
	// Absent must not be there.
	Absent []abi.Reference `json:"absent"`
	// MaxCalls is the most calls of the module in this step.
	MaxCalls *int `json:"maxCalls"`
	// Events are reasons of events that must have been recorded by then.
	Events []string `json:"events"`
	// Fails is true if the last reconcile must have failed. Default: it must not.
	Fails bool `json:"fails"`
}

func readSteps(path string) (steps []step, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(data, &steps); err != nil {
		return nil, fmt.Errorf("%s is no list of steps: %s", path, jsonText(err))
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%s has no steps", path)
	}
	for i := range steps {
		if err := steps[i].complete(); err != nil {
			return nil, fmt.Errorf("%s: step %d: %w", path, i+1, err)
		}
	}
	return steps, nil
}

// jsonText is what is wrong with a document, without how that was found out.
func jsonText(err error) string {
	text := strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: ")
	return strings.TrimPrefix(text, "json: ")
}

func (s *step) complete() (err error) {
	for _, each := range s.Apply {
		object, err := objectOf(each)
		if err != nil {
			return err
		}
		s.apply = append(s.apply, object)
	}
	if s.After != "" {
		s.after, err = time.ParseDuration(s.After)
	}
	return err
}

// objectOf makes an object of what was decoded with other types of numbers.
func objectOf(content map[string]any) (render.Object, error) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	objects, err := render.Decode("the object", encoded)
	if err != nil {
		return nil, err
	}
	if len(objects) != 1 {
		return nil, errors.New("an object is empty")
	}
	return objects[0], nil
}

// maxRuns is how often a case is run anew, each time with what the last run has shown to be missing in an entry that is made up.
const maxRuns = 20

func (c *Case) runSteps(ctx context.Context, input render.Input, result *Result) error {
	input.Objects = slices.Concat(input.Objects, c.observed)
	if c.object != nil {
		input.Objects = append(input.Objects, c.object)
	}
	if input.Entry == nil && c.Object() != nil {
		input.For = c.Object().GroupVersionKind()
	}
	plan, err := render.Prepare(ctx, input, func(string) {})
	if err != nil {
		return err
	}
	for _, each := range c.steps { // so that all kinds are known from the start
		if _, err := plan.Place(ctx, each.apply); err != nil {
			return err
		}
	}
	for range maxRuns {
		result.Calls, result.Failure = 0, ""
		cluster, err := plan.Start(ctx, render.Options{})
		if err != nil {
			return err
		}
		for i := range c.steps {
			run := &running{plan: plan, cluster: cluster, step: &c.steps[i], calls: result.Calls}
			if err := run.do(ctx); err != nil {
				return fmt.Errorf("step %d (%s): %w", i+1, c.steps[i].Name, err)
			}
			result.Calls = run.totalCalls()
			if failures := run.check(ctx); len(failures) > 0 {
				result.Failure = fmt.Sprintf("step %d (%s):\n  %s\n", i+1, c.steps[i].Name, strings.Join(failures, "\n  "))
				break
			}
		}
		if grown, err := plan.Grow(ctx, cluster); err != nil || !grown {
			return err
		}
	}
	return errors.New("the module wants something else each time")
}

// running is a step that is made.
type running struct {
	plan    *render.Plan
	cluster *render.Cluster
	step    *step
	calls   int // of the steps before
}

func (r *running) do(ctx context.Context) error {
	objects, err := r.plan.Place(ctx, r.step.apply)
	if err != nil {
		return err
	}
	for _, object := range objects {
		request := r.request(apiserver.Apply, render.IDOf(object).GroupVersionKind, render.IDOf(object).NamespacedName)
		request.Object, request.Force = object, true
		if err := r.cluster.Apply(ctx, request); err != nil {
			return fmt.Errorf("cannot apply %s: %w", render.IDOf(object), err)
		}
	}
	for _, each := range r.step.Patch {
		request := r.named(apiserver.Patch, each.Reference)
		request.PatchType, request.Subresource = types.MergePatchType, each.Subresource
		if request.Body, err = json.Marshal(each.Patch); err != nil {
			return err
		}
		if err := r.cluster.Do(ctx, request); err != nil {
			return fmt.Errorf("cannot patch %s: %w", each.Reference, err)
		}
	}
	for _, each := range r.step.Delete {
		if err := r.cluster.Do(ctx, r.named(apiserver.Delete, each)); err != nil {
			return fmt.Errorf("cannot delete %s: %w", each, err)
		}
	}
	if r.step.Restart {
		if err := r.cluster.Restart(ctx); err != nil {
			return err
		}
	}
	r.cluster.Settle(ctx)
	if r.step.after > 0 {
		r.cluster.Advance(ctx, r.step.after)
	}
	return nil
}

func (r *running) request(verb apiserver.Verb, kind schema.GroupVersionKind, name types.NamespacedName) apiserver.Request {
	return apiserver.Request{Verb: verb, Kind: kind, NamespacedName: name, Manager: "user"}
}

func (r *running) named(verb apiserver.Verb, named abi.Reference) apiserver.Request {
	id := r.plan.ID(named)
	return r.request(verb, id.GroupVersionKind, id.NamespacedName)
}

func (r *running) totalCalls() (calls int) {
	for _, outcome := range r.cluster.Outcomes() {
		calls += outcome.Calls
	}
	return calls
}

// check says what does not hold.
func (r *running) check(ctx context.Context) (failures []string) {
	wanted := r.step.Want
	for _, each := range wanted.Objects {
		failures = append(failures, r.checkObject(ctx, each)...)
	}
	for _, each := range wanted.Absent {
		id := r.plan.ID(each)
		if r.cluster.Server().Get(id.GroupVersionKind, id.NamespacedName) != nil {
			failures = append(failures, fmt.Sprintf("%s is there", id))
		}
	}
	if calls := r.totalCalls() - r.calls; wanted.MaxCalls != nil && calls > *wanted.MaxCalls {
		failures = append(failures, fmt.Sprintf("the module was called %d times, want at most %d", calls, *wanted.MaxCalls))
	}
	return append(failures, r.checkOutcomes(wanted)...)
}

func (r *running) checkObject(ctx context.Context, content map[string]any) []string {
	partial, err := objectOf(content)
	if err != nil {
		return []string{err.Error()}
	}
	placed, err := r.plan.Place(ctx, []render.Object{partial})
	if err != nil {
		return []string{err.Error()}
	}
	id := render.IDOf(placed[0])
	live := r.cluster.Server().Get(id.GroupVersionKind, id.NamespacedName)
	if live == nil {
		return []string{fmt.Sprintf("%s is not there", id)}
	}
	var failures []string
	for _, difference := range within("", placed[0].Object, live.Object) {
		failures = append(failures, fmt.Sprintf("%s: %s", id, difference))
	}
	return failures
}

func (r *running) checkOutcomes(wanted want) (failures []string) {
	failed := false
	var reasons []string
	for _, outcome := range r.cluster.Outcomes() {
		if problem := outcome.Problem(); problem != nil {
			failed = true
			if !wanted.Fails {
				failures = append(failures, problem.Error())
			}
		}
		for _, event := range outcome.Events {
			reasons = append(reasons, event.Reason)
		}
	}
	if wanted.Fails && !failed {
		failures = append(failures, "nothing fails")
	}
	for _, reason := range wanted.Events {
		if !slices.Contains(reasons, reason) {
			failures = append(failures, fmt.Sprintf("there is no event %s, only %q", reason, reasons))
		}
	}
	return failures
}

// within says which of the wanted fields an object has not. Lists must be as long as wanted.
func within(path string, wanted, got any) (differences []string) {
	switch wanted := wanted.(type) {
	case map[string]any:
		fields, _ := got.(map[string]any)
		for _, name := range sortedKeys(wanted) {
			differences = append(differences, within(strings.TrimPrefix(path+"."+name, "."), wanted[name], fields[name])...)
		}
		return differences
	case []any:
		items, _ := got.([]any)
		if len(items) != len(wanted) {
			return []string{fmt.Sprintf("%s has %d items, want %d", path, len(items), len(wanted))}
		}
		for i := range wanted {
			differences = append(differences, within(fmt.Sprintf("%s[%d]", path, i), wanted[i], items[i])...)
		}
		return differences
	}
	if text(wanted) != text(got) {
		return []string{fmt.Sprintf("%s is %s, want %s", path, text(got), text(wanted))}
	}
	return nil
}

func text(value any) string {
	encoded, err := utiljson.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
