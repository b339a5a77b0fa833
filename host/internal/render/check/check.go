// Package check shows that a module keeps to what makes a controller one: that it is deterministic, that its own result changes
// nothing, that it comes to the same end from wherever it starts, and that it stays within its limits.
//
// It is no proof but a search: the module is asked about each object and about variations of it, in states of the cluster
// that a controller must be able to cope with. The files: check.go searches, properties.go has what is looked for, states.go the
// states, vary.go the variations, and shrink.go makes short what was found.
package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render"
)

// Other is the same module in a sandbox that differs in what no module may depend on.
type Other struct {
	// What says what differs: "another random stream".
	What   string
	Module reconcile.Module
}

// Options are the optional settings of Run. The zero value of a field means its default.
type Options struct {
	// Others are what the module's answers are compared with. Without any, only that it repeats itself is.
	Others []Other
	// Time bounds the search among variations; the objects as they are take as long as they take. Default 10 s.
	Time time.Duration
	// Seed is what the choice of variations comes from.
	Seed uint64
	// MaxReconciles is how often an object may be reconciled until it must have come to rest. Default 50.
	MaxReconciles int
	// Variations bounds the variations of each object. Default: only time does.
	Variations int
}

// Report is what came of a search.
type Report struct {
	// Objects, Variations and States count what was looked at, and Calls the calls of the module.
	Objects, Variations, States, Calls int
	// Violation is what was found, nil if nothing was.
	Violation *Violation
}

// Violation is a case in which a module does not keep to a property.
//
//nolint:errname // it is what is looked for, and an error only in the end
type Violation struct {
	// Property is the property, in few words: "deterministic".
	Property string
	// Reason says what happened instead, Detail shows it.
	Reason, Detail string
	// Object is the object, and Observed what else there was. Variation says what was varied of the object, if anything.
	Object    render.Object
	Observed  []render.Object
	Variation string
}

// Error says what is violated.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s: not %s: %s", render.IDOf(v.Object), v.Property, v.Reason)
}

// search is one search.
type search struct {
	options  Options
	random   *rand.Rand
	report   *Report
	deadline time.Time
	module   *recorder
}

// Run searches for a violation, with each of the inputs, which have one object each.
func Run(ctx context.Context, inputs []render.Input, options Options, note func(string)) (*Report, error) {
	if options.Time == 0 {
		options.Time = 10 * time.Second
	}
	s := &search{
		options: options, random: rand.New(rand.NewPCG(options.Seed, 1)), report: &Report{},
	}
	plans := make([]*render.Plan, len(inputs))
	for i, input := range inputs {
		s.module = newRecorder(input.Module)
		input.Module = s.module
		plan, err := render.Prepare(ctx, input, note)
		if err != nil {
			return nil, err
		}
		plans[i] = plan
		s.report.Objects++
		if violation, err := s.check(ctx, plan, true); violation != nil || err != nil {
			return s.found(ctx, plan, violation), err
		}
	}
	s.deadline = time.Now().Add(options.Time)
	return s.vary(ctx, plans)
}

// vary checks variations of the objects in turns, until the time is over.
func (s *search) vary(ctx context.Context, plans []*render.Plan) (*Report, error) {
	variations := make([][]variation, len(plans))
	for i, plan := range plans {
		variations[i] = variationsOf(plan.Only(), s.random)
		if most := s.options.Variations; most > 0 && len(variations[i]) > most {
			variations[i] = variations[i][:most]
		}
	}
	for left := true; left; {
		left = false
		for i, plan := range plans {
			if len(variations[i]) == 0 || !s.hasTime(ctx) {
				continue
			}
			next := variations[i][0]
			variations[i], left = variations[i][1:], true
			varied := plan.Replace(next.object)
			s.report.Variations++
			violation, err := s.check(ctx, varied, false)
			if err != nil {
				return s.report, err
			}
			if violation != nil {
				violation.Variation = next.what
				return s.found(ctx, varied, violation), nil
			}
		}
	}
	return s.report, nil
}

func (s *search) hasTime(ctx context.Context) bool {
	return ctx.Err() == nil && time.Now().Before(s.deadline)
}

// found reports a violation, as short as it can be made.
func (s *search) found(ctx context.Context, plan *render.Plan, violation *Violation) *Report {
	if violation != nil {
		s.report.Violation = s.shrink(ctx, plan, violation)
	}
	return s.report
}

// InputsOf returns an input for each of the objects that the controller of an input reconciles. The others are in the cluster of
// each.
func InputsOf(input render.Input, objects []render.Object) []render.Input {
	var reconciled, others []render.Object
	for _, object := range objects {
		if reconciles(input, object) {
			reconciled = append(reconciled, object)
		} else {
			others = append(others, object)
		}
	}
	inputs := make([]render.Input, len(reconciled))
	for i, object := range reconciled {
		inputs[i] = input
		inputs[i].Only, inputs[i].Objects = object, append(slices.Clone(input.Objects), others...)
		for j, other := range reconciled {
			if j != i {
				inputs[i].Objects = append(inputs[i].Objects, other)
			}
		}
	}
	return inputs
}

// reconciles says whether an object is one that the controller reconciles. A controller that is made up reconciles the kind
// that the input names.
func reconciles(input render.Input, object render.Object) bool {
	if input.Entry == nil {
		return input.Only != nil && object.GroupVersionKind() == input.Only.GroupVersionKind()
	}
	return slices.ContainsFunc(input.Entry.ForKinds(), func(kind config.GroupVersionKind) bool {
		return kind.Schema() == object.GroupVersionKind()
	})
}
