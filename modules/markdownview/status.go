package main

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// The conditions of a MarkdownView.
const (
	// available is true while enough viewers serve the book.
	available = "Available"
	// degraded is true while something has to be mended by a person.
	degraded = "Degraded"
)

// Phase sums up a Status in one word.
type Phase string

// The phases of a MarkdownView.
const (
	// PhasePending means that there is no Deployment yet.
	PhasePending Phase = "Pending"
	// PhaseProgressing means that the viewers are not yet, or no longer, as many or as new as they should be.
	PhaseProgressing Phase = "Progressing"
	// PhaseAvailable means that all viewers serve the newest text.
	PhaseAvailable Phase = "Available"
	// PhaseDegraded means that something has to be mended by a person.
	PhaseDegraded Phase = "Degraded"
)

// Status says how a MarkdownView is.
type Status struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	ObservedGeneration int64 `json:"observedGeneration"`
	// Phase sums up the conditions.
	Phase Phase `json:"phase"`
	// AvailableReplicas is how many viewers serve the book.
	AvailableReplicas int32 `json:"availableReplicas"`
	// Conditions are Available and Degraded.
	Conditions []sdk.Condition `json:"conditions"`
}

// observeNothing fills in the status for a view that has no Deployment yet.
func (s *Status) observeNothing() {
	s.Phase = PhasePending
	s.set(available, sdk.False, "NoDeployment", "the Deployment does not exist yet")
	s.set(degraded, sdk.False, "AsExpected", "")
}

// observe fills in the status from the observed Deployment.
func (s *Status) observe(view MarkdownView, d observedDeployment) {
	want := *view.Spec.Replicas
	s.AvailableReplicas = d.Status.AvailableReplicas
	message := fmt.Sprintf("%d of %d replicas are available", s.AvailableReplicas, want)
	if sdk.ConditionIs(d.Status.Conditions, "Available", sdk.True) {
		s.set(available, sdk.True, "MinimumReplicasAvailable", message)
	} else {
		s.set(available, sdk.False, "MinimumReplicasUnavailable", message)
	}
	s.Phase = PhaseProgressing
	if d.rolledOut(view) {
		s.Phase = PhaseAvailable
	}
	if failure := d.failure(); failure != nil {
		s.degrade(failure.Reason, failure.Message)
	} else {
		s.set(degraded, sdk.False, "AsExpected", "")
	}
}

// degrade says that something has to be mended by a person.
func (s *Status) degrade(reason, message string) {
	s.Phase = PhaseDegraded
	s.set(degraded, sdk.True, reason, message)
}

func (s *Status) set(conditionType string, status sdk.ConditionStatus, reason, message string) {
	sdk.SetCondition(&s.Conditions, sdk.Condition{Type: conditionType, Status: status, Reason: reason, Message: message})
}

// rolledOut tells whether the Deployment is the one that view wants, and all its Pods are new and available. Its status
// says nothing about a spec that the Deployment's own controller has not seen.
func (d observedDeployment) rolledOut(view MarkdownView) bool {
	want := *view.Spec.Replicas
	return d.Metadata.Generation == d.Status.ObservedGeneration && d.Spec.Replicas == want &&
		d.Status.UpdatedReplicas == want && d.Status.Replicas == want && d.Status.AvailableReplicas == want && d.serves(view)
}

// serves tells whether the Deployment's Pods are of view's text and image.
func (d observedDeployment) serves(view MarkdownView) bool {
	template := d.Spec.Template
	return template.Metadata.Annotations[checksumAnnotation] == checksum(view) &&
		len(template.Spec.Containers) > 0 && template.Spec.Containers[0].Image == view.Spec.ViewerImage
}

// failure returns the condition that says why the Deployment cannot go on by itself, or nil.
func (d observedDeployment) failure() *sdk.Condition {
	if c := sdk.FindCondition(d.Status.Conditions, "ReplicaFailure"); c != nil && c.Status == sdk.True {
		return c
	}
	if c := sdk.FindCondition(d.Status.Conditions, "Progressing"); c != nil && c.Status == sdk.False {
		return c
	}
	return nil
}
