package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// The properties.
const (
	deterministic = "deterministic"
	withinBounds  = "within its bounds"
	converging    = "coming to rest"
	steady        = "of one mind"
	idempotent    = "idempotent"
	indifferent   = "indifferent to where it starts"
	carriedOut    = "carried out"
)

// check looks for a violation with one object. What the cluster does not take is none, unless the object is as it was given.
func (s *search) check(ctx context.Context, plan *render.Plan, given bool) (*Violation, error) {
	base, err := plan.Converge(ctx, s.start(0))
	if err != nil {
		if given {
			return nil, err
		}
		return nil, nil //nolint:nilnil // the cluster does not take the variation, and so the module never sees it
	}
	s.report.States++
	defer func() { s.report.Calls = s.module.calls }()
	if violation := s.repeats(ctx, plan); violation != nil {
		return violation, nil
	}
	outcome := outcomeOf(base)
	if outcome == nil {
		return nil, nil //nolint:nilnil // the object is not one that is reconciled
	}
	if violation := s.ends(plan, outcome, given); violation != nil || outcome.Err != nil {
		return violation, nil
	}
	for _, look := range []func(context.Context, *render.Plan, *render.Cluster, bool) (*Violation, error){s.rests, s.crashes, s.recovers} {
		if violation, err := look(ctx, plan, base, given); violation != nil || err != nil {
			return violation, err
		}
		if violation := s.repeats(ctx, plan); violation != nil {
			return violation, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is wrong
}

func (s *search) start(killAfter int) render.Options {
	return render.Options{MaxReconciles: s.options.MaxReconciles, KillAfter: killAfter}
}

func outcomeOf(cluster *render.Cluster) *render.Outcome {
	for _, outcome := range cluster.Outcomes() {
		return outcome
	}
	return nil
}

// repeats asks the same again, of the same module and of others.
func (s *search) repeats(ctx context.Context, plan *render.Plan) *Violation {
	others := append([]Other{{"another call", s.module.Module}}, s.options.Others...)
	for _, first := range s.module.take() {
		for _, other := range others {
			response, err := other.Module.Call(ctx, first.request, silent)
			if bytes.Equal(response, first.response) && (err == nil) == (first.err == nil) {
				continue
			}
			return &Violation{
				Property: deterministic, Object: plan.Only(),
				Reason: "the same request gets another answer with " + other.What,
				Detail: differenceOf("one answer", "the other", answerText(first.response, first.err), answerText(response, err)),
			}
		}
	}
	return nil
}

// answerText returns an answer as it is best compared by people.
func answerText(response []byte, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	text, err := yaml.JSONToYAML(response)
	if err != nil {
		return string(response) + "\n"
	}
	return string(text)
}

// differenceOf shows how two texts differ. Where they differ in nothing but the order of fields, they are shown as they are.
func differenceOf(oldName, newName, before, after string) string {
	if before == after {
		return "they differ in the order of fields, or in white space\n"
	}
	_, text, _ := strings.Cut(string(diff.Diff(oldName, []byte(before), newName, []byte(after))), "\n")
	return text
}

// ends looks at what a run has ended in.
func (s *search) ends(plan *render.Plan, outcome *render.Outcome, given bool) *Violation {
	if outcome.Err == nil {
		return nil
	}
	violation := &Violation{Object: plan.Only(), Reason: outcome.Problem().Error()}
	var unrest *render.FixedPointError
	switch {
	case errors.As(outcome.Err, &unrest) && outcome.Circle() > 0:
		violation.Property, violation.Reason = steady, fmt.Sprintf("it goes round in %d answers", outcome.Circle())
		violation.Detail = lastAnswers(outcome)
	case errors.As(outcome.Err, &unrest):
		violation.Property = converging
		violation.Reason = fmt.Sprintf("there was still something to do after %d reconciles", unrest.Reconciles)
		violation.Detail = lastAnswers(outcome)
	case outcome.OutOfBounds(), outcome.Failure() == render.InvalidResponse && (given || outcome.Answer() == nil):
		violation.Property = withinBounds
	case given:
		violation.Property = carriedOut
	default: // a variation may well be one that the module, the config or the cluster refuses
		return nil
	}
	return violation
}

func lastAnswers(outcome *render.Outcome) string {
	n := len(outcome.History)
	if n < 2 {
		return ""
	}
	return differenceOf("an answer", "the next one", answerText(outcome.History[n-2], nil), answerText(outcome.History[n-1], nil))
}

// rests has a new host look at the result of the one before: nothing may change.
func (s *search) rests(ctx context.Context, plan *render.Plan, base *render.Cluster, _ bool) (*Violation, error) {
	version := base.Server().Version()
	before := base.Objects()
	if err := base.Restart(ctx); err != nil {
		return nil, err
	}
	base.Settle(ctx)
	s.report.States++
	if base.Server().Version() == version { // a write that changes nothing does no harm
		return nil, nil //nolint:nilnil // nothing is wrong
	}
	return &Violation{
		Property: idempotent, Object: plan.Only(), Reason: "reconciling its own result again changes something",
		Detail: differenceOf("before", "after", textOf(before), textOf(base.Objects())),
	}, nil
}

func textOf(objects []render.Object) string {
	documents := make([]map[string]any, len(objects))
	for i, object := range objects {
		documents[i] = object.Object
	}
	text, err := render.Encode(documents)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// sameEnd says whether a run has come to the same end as another one. lastTransitionTime tells when, and not what.
func sameEnd(a, b *render.Cluster) bool {
	return reflect.DeepEqual(endOf(a), endOf(b))
}

// endOf returns the end of a run: what the module has wanted last.
func endOf(cluster *render.Cluster) any {
	outcome := outcomeOf(cluster)
	if outcome == nil {
		return nil
	}
	if outcome.Err != nil {
		return outcome.Err.Error()
	}
	result := cluster.Result(outcome)
	documents := []any{result.Children == nil}
	for _, child := range result.Children {
		documents = append(documents, child.Object)
	}
	if result.Object != nil {
		documents = append(documents, result.Object.Object)
	}
	encoded, err := json.Marshal(documents)
	if err != nil {
		return err.Error()
	}
	var end any
	if err := json.Unmarshal(cluster.Anonymous(encoded), &end); err != nil {
		return err.Error()
	}
	forgetTimes(end)
	return end
}

func forgetTimes(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "lastTransitionTime")
		for _, item := range v {
			forgetTimes(item)
		}
	case []any:
		for _, item := range v {
			forgetTimes(item)
		}
	}
}

func endText(cluster *render.Cluster) string {
	text, err := yaml.Marshal(endOf(cluster))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
