// Command bluegreen is a Wasmloop module that changes what a BlueGreenDeployment serves in one go: the new Pods are brought
// up beside the old ones, and the Service turns to them when all of them are ready.
package main

import (
	_ "embed"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// reconcile takes the next step from what is observed. Which steps came before, it does not ask.
func reconcile(req *sdk.Request[BlueGreenDeployment]) (*sdk.Response, error) {
	req.Object.setDefaults()
	now, err := observe(req)
	if err != nil {
		return nil, err
	}
	next := now.step()
	resp := &sdk.Response{Status: now.status(req.Generation, next)}
	if next.progress == switching {
		resp.Eventf(sdk.EventNormal, switching, "%s is ready: the Service turns from %s to it", next.serving, now.active)
	}
	resp.Own(service(now.deployment, next.serving))
	for _, set := range next.sets {
		resp.Own(set)
	}
	return resp, nil
}

// observation is what there is: the wanted deployment, the colour that the Service leads to, and the ReplicaSets.
type observation struct {
	deployment BlueGreenDeployment
	active     Color
	sets       map[Color]observedReplicaSet
}

func observe(req *sdk.Request[BlueGreenDeployment]) (*observation, error) {
	now := &observation{deployment: req.Object, active: Blue, sets: map[Color]observedReplicaSet{}}
	for _, color := range []Color{Blue, Green} {
		set, found, err := sdk.Child[observedReplicaSet](req, "apps/v1", "ReplicaSet", setName(req.Name, color))
		if err != nil {
			return nil, err
		}
		if found {
			now.sets[color] = set
		}
	}
	service, _, err := sdk.Child[Service](req, "v1", "Service", serviceName(req.Name))
	if err != nil {
		return nil, err
	}
	// The status remembers the colour in case somebody has deleted the Service.
	for _, color := range []Color{req.Object.Status.ActiveColor, Color(service.Spec.Selector[colorLabel])} {
		if color == Blue || color == Green {
			now.active = color
		}
	}
	return now, nil
}

// step is what should be next.
type step struct {
	// serving is the colour that the Service should lead to.
	serving Color
	// sets are the ReplicaSets that should exist.
	sets []ReplicaSet
	// progress is how far the change is.
	progress string
}

// How far a change is: the reasons of the condition Progressing.
const (
	// complete: the active colour is of the wanted template. There is nothing to change.
	complete = "Complete"
	// draining: the other colour has Pods of a template that is not wanted any more, and has to lose them first.
	draining = "Draining"
	// bringingUp: the other colour is brought up with the wanted template.
	bringingUp = "BringingUp"
	// switching: the other colour is ready, and the Service turns to it.
	switching = "Switching"
)

// step decides what is next. Whatever is not its turn stays as it is: the active colour keeps the template that it has
// until the Service is seen to lead elsewhere.
func (o *observation) step() step {
	want := o.deployment
	idle := o.active.other()
	active, hasActive := o.sets[o.active]
	other, hasOther := o.sets[idle]
	switch {
	case !hasActive || active.isOf(want):
		next := step{serving: o.active, sets: []ReplicaSet{replicaSet(want, o.active)}, progress: complete}
		if hasOther {
			next.sets = append(next.sets, other.scaled(0))
		}
		return next
	case hasOther && other.isOf(want) && other.ready(want.replicas()):
		return step{serving: idle, sets: []ReplicaSet{active.scaled(want.replicas()), replicaSet(want, idle)}, progress: switching}
	case hasOther && !other.isOf(want) && !other.ready(0):
		// A ReplicaSet that gets another template keeps the Pods that it has. They must not be taken for new ones.
		return step{serving: o.active, sets: []ReplicaSet{active.scaled(want.replicas()), other.scaled(0)}, progress: draining}
	default:
		return step{serving: o.active, sets: []ReplicaSet{active.scaled(want.replicas()), replicaSet(want, idle)}, progress: bringingUp}
	}
}
