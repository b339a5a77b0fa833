package check

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// shrinkTime bounds how long a violation is made shorter.
const shrinkTime = 3 * time.Second

// shrink leaves out what of an object a violation does not need.
func (s *search) shrink(ctx context.Context, plan *render.Plan, violation *Violation) *Violation {
	s.deadline = time.Now().Add(shrinkTime)
	for shorter := true; shorter; {
		shorter = false
		for _, at := range droppable(plan.Only()) {
			if !s.hasTime(ctx) {
				return violation
			}
			less := plan.Only().DeepCopy()
			unstructured.RemoveNestedField(less.Object, at.path...)
			smaller := plan.Replace(less)
			s.module.known = map[string]bool{} // what was asked already is to be judged again
			found, err := s.check(ctx, smaller, violation.Variation == "")
			if err != nil || found == nil || found.Property != violation.Property {
				continue
			}
			found.Variation = violation.Variation
			plan, violation, shorter = smaller, found, true
			break
		}
	}
	return violation
}

// droppable returns the fields that an object can do without, large ones first.
func droppable(object render.Object) []node {
	nodes := slices.DeleteFunc(nodesOf(object.Object, nil), func(at node) bool {
		return len(at.path) == 0 || slices.Contains([]string{"apiVersion", "kind"}, at.path[0]) ||
			at.path[0] == "metadata" && (len(at.path) == 1 || at.path[1] == "name" || at.path[1] == "namespace")
	})
	slices.SortStableFunc(nodes, func(a, b node) int { return len(a.path) - len(b.path) })
	return nodes
}
