package main

import "github.com/wasmloop/wasmloop/sdk"

// StatefulSet is the part of an apps/v1 StatefulSet that this module reads.
type StatefulSet struct {
	sdk.Object
	Spec StatefulSetSpec `json:"spec"`
}

// StatefulSetSpec is the part of a StatefulSet's spec that this module reads.
type StatefulSetSpec struct {
	// Replicas is nil for 1.
	Replicas *int32            `json:"replicas,omitempty"`
	Ordinals Ordinals          `json:"ordinals,omitzero"`
	Selector sdk.LabelSelector `json:"selector"`
}

// Ordinals say which number the first Pod has.
type Ordinals struct {
	Start int64 `json:"start"`
}

// Pod is the part of a Pod that this module reads.
type Pod struct {
	Metadata sdk.Meta `json:"metadata"`
}

// Service is the part of a v1 Service that this module owns.
type Service struct {
	sdk.Object
	Spec ServiceSpec `json:"spec"`
}

// ServiceSpec is the part of a Service's spec that this module owns.
type ServiceSpec struct {
	Selector map[string]string `json:"selector"`
	Ports    []Port            `json:"ports"`
}

// Port is one port of a Service.
type Port struct {
	Name       string `json:"name"`
	Port       int32  `json:"port"`
	TargetPort int32  `json:"targetPort"`
	Protocol   string `json:"protocol"`
}
