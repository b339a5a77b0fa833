package main

import "github.com/wasmloop/wasmloop/sdk"

// Pod is the part of a v1 Pod that this module reads.
type Pod struct {
	sdk.Object
	Spec   Spec           `json:"spec"`
	Status ObservedStatus `json:"status,omitzero"`
}

// Spec is the part of a Pod's spec that this module reads.
type Spec struct {
	NodeName        string           `json:"nodeName,omitempty"`
	InitContainers  []Container      `json:"initContainers,omitempty"`
	Containers      []Container      `json:"containers"`
	ReadinessGates  []ReadinessGate  `json:"readinessGates,omitempty"`
	SchedulingGates []SchedulingGate `json:"schedulingGates,omitempty"`
}

// Container is the part of a container that its status repeats. An init container with the restart policy Always is a
// sidecar.
type Container struct {
	Name          string `json:"name"`
	Image         string `json:"image"`
	RestartPolicy string `json:"restartPolicy,omitempty"`
}

// ReadinessGate names a condition that someone else sets, and without which a Pod is not ready.
type ReadinessGate struct {
	ConditionType string `json:"conditionType"`
}

// SchedulingGate holds a Pod back from being scheduled.
type SchedulingGate struct {
	Name string `json:"name"`
}

// ObservedStatus is the part of a Pod's status that this module reads.
type ObservedStatus struct {
	Phase      string          `json:"phase,omitempty"`
	Conditions []sdk.Condition `json:"conditions,omitempty"`
}

// Status is the part of a Pod's status that this module sets.
type Status struct {
	Phase                 string            `json:"phase"`
	Conditions            []Condition       `json:"conditions"`
	InitContainerStatuses []ContainerStatus `json:"initContainerStatuses,omitempty"`
	ContainerStatuses     []ContainerStatus `json:"containerStatuses"`
}

// Condition is a condition of a Pod. Unlike those of other kinds it needs no reason and no message, and the API server
// drops empty ones.
type Condition struct {
	Type    string              `json:"type"`
	Status  sdk.ConditionStatus `json:"status"`
	Reason  string              `json:"reason,omitempty"`
	Message string              `json:"message,omitempty"`
}

// ContainerStatus says how a container is. The API server wants all of its fields, also those that are empty here.
type ContainerStatus struct {
	Name         string `json:"name"`
	Image        string `json:"image"`
	ImageID      string `json:"imageID"`
	Ready        bool   `json:"ready"`
	Started      bool   `json:"started"`
	RestartCount int32  `json:"restartCount"`
	State        State  `json:"state"`
}

// State is Running or Terminated.
type State struct {
	Running    *Running    `json:"running,omitempty"`
	Terminated *Terminated `json:"terminated,omitempty"`
}

// Running says that a container runs.
type Running struct{}

// Terminated says how a container ended.
type Terminated struct {
	ExitCode int32  `json:"exitCode"`
	Reason   string `json:"reason"`
}
