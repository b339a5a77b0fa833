package main

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// Status says how far an IndexedJob is. It is also what remembers which indexes are finished, when their Pods are gone.
type Status struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	ObservedGeneration int64 `json:"observedGeneration"`
	// Active is how many Pods are not finished.
	Active int `json:"active"`
	// Succeeded and Failed are how many indexes are finished, and how.
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	// CompletedIndexes and FailedIndexes are which: numbers and ranges such as "0-3,7".
	CompletedIndexes string `json:"completedIndexes"`
	FailedIndexes    string `json:"failedIndexes"`
	// Conditions are Complete, true when all indexes have succeeded, and Failed, true when all are finished and not all
	// have succeeded.
	Conditions []sdk.Condition `json:"conditions"`
}

func (o *observation) status(job IndexedJob, generation int64) Status {
	status := Status{
		ObservedGeneration: generation,
		Active:             o.active,
		Succeeded:          len(o.succeeded), CompletedIndexes: o.succeeded.String(),
		Failed: len(o.failed), FailedIndexes: o.failed.String(),
	}
	all := status.Succeeded+status.Failed == job.completions()
	message := fmt.Sprintf("%d of %d indexes have succeeded", status.Succeeded, job.completions())
	complete := sdk.Condition{Type: "Complete", Status: sdk.False, Reason: "Running", Message: message}
	failed := sdk.Condition{Type: "Failed", Status: sdk.False, Reason: "AsExpected"}
	switch {
	case all && status.Failed > 0:
		complete.Reason = "IndexesFailed"
		failed.Status, failed.Reason, failed.Message = sdk.True, "IndexesFailed", "failed: "+status.FailedIndexes
	case all:
		complete.Status, complete.Reason = sdk.True, "AllSucceeded"
	}
	status.Conditions = []sdk.Condition{complete, failed}
	return status
}
