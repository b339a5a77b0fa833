package check

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

const (
	// maxSubsets bounds the subsets of children that are taken away at once, and maxEdits the fields of a child that are edited.
	maxSubsets, maxEdits = 24, 12
	// fewSubsets and fewEdits do so for variations.
	fewSubsets, fewEdits = 4, 1
)

// crashes kills the host after each of its writes, and has another one go on.
func (s *search) crashes(ctx context.Context, plan *render.Plan, base *render.Cluster, given bool) (*Violation, error) {
	for write := 1; write <= base.Writes(); write++ {
		if !given && !s.hasTime(ctx) {
			return nil, nil //nolint:nilnil // nothing was found in time
		}
		cluster, err := plan.Start(ctx, s.start(write))
		if err != nil {
			return nil, err
		}
		cluster.SettleUntilKilled(ctx)
		if err := cluster.Refresh(); err != nil {
			return nil, err
		}
		left := cluster.Objects()
		cluster.Settle(ctx)
		what := fmt.Sprintf("the host ends after its write %d of %d", write, base.Writes())
		if violation := s.compare(plan, base, cluster, what, left, true); violation != nil {
			return violation, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is wrong
}

// recovers takes children away, and edits them.
func (s *search) recovers(ctx context.Context, plan *render.Plan, base *render.Cluster, given bool) (*Violation, error) {
	cluster, err := plan.Start(ctx, s.start(0))
	if err != nil {
		return nil, err
	}
	cluster.Settle(ctx)
	subsets, edits := fewSubsets, fewEdits
	if given {
		subsets, edits = maxSubsets, maxEdits
	}
	disturbances := s.losses(cluster, subsets)
	for _, id := range cluster.Children(render.IDOf(plan.Only())) {
		disturbances = append(disturbances, s.edits(cluster, id, edits)...)
	}
	for _, each := range disturbances {
		if !given && !s.hasTime(ctx) {
			return nil, nil //nolint:nilnil // nothing was found in time
		}
		if !each.do(ctx, cluster) {
			continue // the cluster does not let anybody do this
		}
		if err := cluster.Refresh(); err != nil {
			return nil, err
		}
		left := cluster.Objects()
		if err := cluster.Restart(ctx); err != nil {
			return nil, err
		}
		cluster.Settle(ctx)
		if violation := s.compare(plan, base, cluster, each.what, left, each.loss); violation != nil {
			return violation, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is wrong
}

// compare says whether a run has come to an end like the one that nothing has disturbed, and if so asked, to the same one.
func (s *search) compare(plan *render.Plan, base, cluster *render.Cluster, what string, left []render.Object, same bool) *Violation {
	s.report.States++
	outcome := outcomeOf(cluster)
	if outcome == nil {
		return nil
	}
	violation := s.ends(plan, outcome, true)
	switch {
	case violation != nil && violation.Property == carriedOut:
		violation.Property = indifferent
		violation.Reason = "when " + what + ", it ends in an error: " + violation.Reason
	case violation != nil:
		violation.Reason = "when " + what + ", " + violation.Reason
	case same && !sameEnd(base, cluster):
		violation = &Violation{
			Property: indifferent, Object: plan.Only(), Reason: "when " + what + ", it ends elsewhere",
			Detail: differenceOf("undisturbed", "disturbed", endText(base), endText(cluster)),
		}
	default:
		return nil
	}
	violation.Object, violation.Observed = split(plan.Only(), left)
	return violation
}

// split finds the reconciled object among the others.
func split(only render.Object, all []render.Object) (object render.Object, observed []render.Object) {
	object = only
	for _, each := range all {
		if render.IDOf(each) == render.IDOf(only) {
			object = each
		} else {
			observed = append(observed, each)
		}
	}
	return object, observed
}

// disturbance is something that others do to a cluster.
type disturbance struct {
	what string
	// loss is true if all is to be as it was in the end. A module may take what others have written as a reason to go on from
	// there: a number of replicas, or a version that is not the one it wants.
	loss bool
	do   func(ctx context.Context, cluster *render.Cluster) bool
}

// losses takes subsets of the children away: all subsets if they are few, or else each child, all but one, and all.
func (s *search) losses(cluster *render.Cluster, most int) (all []disturbance) {
	children := cluster.Children(outcomeOf(cluster).ID)
	for _, subset := range subsetsOf(len(children), most) {
		var lost []kube.ID
		what := ""
		for _, i := range subset {
			lost = append(lost, children[i])
			if what != "" {
				what += ", "
			}
			what += children[i].String()
		}
		all = append(all, disturbance{what + " is missing", true, func(ctx context.Context, cluster *render.Cluster) bool {
			done := false
			for _, id := range lost {
				request := apiserver.Request{Verb: apiserver.Delete, Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName, Manager: "somebody"}
				done = cluster.Do(ctx, request) == nil || done
			}
			return done
		}})
	}
	return all
}

// subsetsOf returns subsets of n things, at most so many: single ones first, then all, then others.
func subsetsOf(n, most int) (subsets [][]int) {
	every := []int{}
	for i := range n {
		subsets = append(subsets, []int{i})
		every = append(every, i)
	}
	if n > 1 {
		subsets = append([][]int{every}, subsets...)
	}
	for bits := 1; n <= 8 && bits < 1<<n-1; bits++ {
		var subset []int
		for i := range n {
			if bits&(1<<i) != 0 {
				subset = append(subset, i)
			}
		}
		if len(subset) > 1 {
			subsets = append(subsets, subset)
		}
	}
	return subsets[:min(len(subsets), most)]
}

// edits changes fields of a child that the module wants, and takes some away.
func (s *search) edits(cluster *render.Cluster, id kube.ID, most int) (all []disturbance) {
	for _, child := range cluster.Result(outcomeOf(cluster)).Children {
		if render.IDOf(child).Name != id.Name || render.IDOf(child).Kind != id.Kind {
			continue
		}
		leaves := leavesOf(child.Object, nil)
		s.random.Shuffle(len(leaves), func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
		for _, at := range leaves[:min(len(leaves), most)] {
			all = append(all, patching(id, at.path, edited(at.value), "edited"), patching(id, at.path, nil, "taken away"))
		}
	}
	return all
}

func patching(id kube.ID, path []string, value any, done string) disturbance {
	what := fmt.Sprintf("%s of %s is %s", pathText(path), id, done)
	return disturbance{what, false, func(ctx context.Context, cluster *render.Cluster) bool {
		patch := value
		for _, name := range slices.Backward(path) {
			patch = map[string]any{name: patch}
		}
		body, err := json.Marshal(patch)
		if err != nil {
			return false
		}
		return cluster.Do(ctx, apiserver.Request{
			Verb: apiserver.Patch, Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName,
			PatchType: types.MergePatchType, Body: body, Manager: "somebody",
		}) == nil
	}}
}

// edited returns a value of the same type.
func edited(value any) any {
	switch v := value.(type) {
	case string:
		return v + "-edited"
	case bool:
		return !v
	case int64:
		return v + 1
	case float64:
		return v + 1
	default:
		return value
	}
}
