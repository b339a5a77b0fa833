package main

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// Status says how far a DaemonJob is. When the DaemonSet is gone, it is all that is left.
type Status struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	ObservedGeneration int64 `json:"observedGeneration"`
	// Nodes is how many nodes the task is for, Succeeded on how many of them it is done.
	Nodes     int32 `json:"nodes"`
	Succeeded int32 `json:"succeeded"`
	// CompletedHash is the hash of the spec that is complete. Another spec is another job.
	CompletedHash string `json:"completedHash,omitempty"`
	// Conditions are Complete, true when the task is done on each node.
	Conditions []sdk.Condition `json:"conditions"`
}

// statusOf returns the status of a job that is not complete yet, though it may be so now.
func statusOf(job DaemonJob, generation int64, set observedDaemonSet) Status {
	status := Status{ObservedGeneration: generation}
	complete := sdk.Condition{Type: "Complete", Status: sdk.False}
	switch {
	case !set.seen(job):
		complete.Reason, complete.Message = "Starting", "the DaemonSet's Pods are not counted yet"
	case set.Status.DesiredNumberScheduled == 0:
		complete.Reason, complete.Message = "NoNodes", "there is no node to run on"
	default:
		status.Nodes, status.Succeeded = set.Status.DesiredNumberScheduled, set.done()
		complete.Reason, complete.Message = "Running", fmt.Sprintf("done on %d of %d nodes", status.Succeeded, status.Nodes)
		if status.Succeeded == status.Nodes {
			complete.Status, complete.Reason = sdk.True, "DoneEverywhere"
			status.CompletedHash = job.hash()
		}
	}
	status.Conditions = []sdk.Condition{complete}
	return status
}

// seen tells whether the DaemonSet is the job's, and its own controller has seen it: otherwise its status is about another
// task.
func (s observedDaemonSet) seen(job DaemonJob) bool {
	return s.Spec.Template.Metadata.Annotations[specAnnotation] == job.hash() && s.Status.ObservedGeneration == s.Metadata.Generation
}

// done returns on how many nodes the task is done. Pods of an earlier task are ready too, so that all have to be new before
// any count.
func (s observedDaemonSet) done() int32 {
	if s.Status.UpdatedNumberScheduled < s.Status.DesiredNumberScheduled {
		return 0
	}
	return s.Status.NumberReady
}
