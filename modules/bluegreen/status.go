package main

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// Status says how a BlueGreenDeployment is.
type Status struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	ObservedGeneration int64 `json:"observedGeneration"`
	// ActiveColor is the colour that the Service leads to.
	ActiveColor Color `json:"activeColor"`
	// ReadyReplicas is how many Pods of the active colour are ready.
	ReadyReplicas int32 `json:"readyReplicas"`
	// Conditions are Available, true while a Pod of the active colour is ready, and Progressing, true while the other
	// colour is on its way to take over.
	Conditions []sdk.Condition `json:"conditions"`
}

// status says how things are, and what is being done about it.
func (o *observation) status(generation int64, next step) Status {
	want := o.deployment.replicas()
	active, idle := o.sets[o.active], o.sets[o.active.other()]
	status := Status{ObservedGeneration: generation, ActiveColor: o.active, ReadyReplicas: active.Status.ReadyReplicas}
	available := sdk.Condition{Type: "Available", Status: sdk.True, Reason: "PodsReady"}
	if status.ReadyReplicas == 0 && want > 0 {
		available.Status, available.Reason = sdk.False, "NoPodReady"
	}
	available.Message = fmt.Sprintf("%d of %d replicas of %s are ready", status.ReadyReplicas, want, o.active)
	progressing := sdk.Condition{Type: "Progressing", Status: sdk.True, Reason: next.progress}
	switch next.progress {
	case complete:
		progressing.Status = sdk.False
	case draining:
		progressing.Message = fmt.Sprintf("%s still has %d Pods of an earlier template", o.active.other(), idle.Status.Replicas)
	case bringingUp:
		progressing.Message = fmt.Sprintf("%d of %d replicas of %s are ready", idle.Status.ReadyReplicas, want, o.active.other())
	case switching:
		progressing.Message = fmt.Sprintf("the Service turns to %s", next.serving)
	}
	status.Conditions = []sdk.Condition{available, progressing}
	return status
}
