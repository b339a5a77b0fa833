package main

import "github.com/wasmloop/wasmloop/sdk"

// Color is one of two places for a version of the Pods.
type Color string

// The colours.
const (
	Blue  Color = "blue"
	Green Color = "green"
)

func (c Color) other() Color {
	if c == Blue {
		return Green
	}
	return Blue
}

// BlueGreenDeployment is a set of Pods behind a Service that changes from one version to the next in one go.
type BlueGreenDeployment struct {
	sdk.Object
	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitzero"`
}

// Spec says what to run.
type Spec struct {
	// Replicas is how many Pods should serve. Default: 1.
	Replicas *int32 `json:"replicas,omitempty"`
	// Ports are the Service's.
	Ports []ServicePort `json:"ports"`
	// Template is what the Pods are made from.
	Template PodTemplate `json:"template"`
}

func (d *BlueGreenDeployment) setDefaults() {
	if d.Spec.Replicas == nil {
		d.Spec.Replicas = new(int32(1))
	}
}

func (d *BlueGreenDeployment) replicas() int32 { return *d.Spec.Replicas }

// hash tells templates apart.
func (d *BlueGreenDeployment) hash() string { return sdk.Hash(d.Spec.Template) }

// PodTemplate is what Pods are made from. The spec is passed on as it is.
type PodTemplate struct {
	Metadata TemplateMeta   `json:"metadata"`
	Spec     map[string]any `json:"spec"`
}

// TemplateMeta is the metadata of a PodTemplate, which has no name.
type TemplateMeta struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Service is the part of a v1 Service that this module owns.
type Service struct {
	sdk.Object
	Spec ServiceSpec `json:"spec"`
}

// ServiceSpec is the part of a Service's spec that this module owns.
type ServiceSpec struct {
	Selector map[string]string `json:"selector"`
	Ports    []ServicePort     `json:"ports"`
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name string `json:"name,omitempty"`
	Port int32  `json:"port"`
	// TargetPort is a number or a port's name. Default: as Port.
	TargetPort any    `json:"targetPort,omitempty"`
	Protocol   string `json:"protocol,omitempty"`
}

// ReplicaSet is the part of an apps/v1 ReplicaSet that this module owns.
type ReplicaSet struct {
	sdk.Object
	Spec ReplicaSetSpec `json:"spec"`
}

// ReplicaSetSpec is the part of a ReplicaSet's spec that this module owns.
type ReplicaSetSpec struct {
	Replicas int32       `json:"replicas"`
	Selector Selector    `json:"selector"`
	Template PodTemplate `json:"template"`
}

// Selector selects Pods by their labels.
type Selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// observedReplicaSet is a ReplicaSet as it is in the cluster.
type observedReplicaSet struct {
	Metadata sdk.Meta         `json:"metadata"`
	Spec     ReplicaSetSpec   `json:"spec"`
	Status   ReplicaSetStatus `json:"status"`
}

// ReplicaSetStatus is the part of a ReplicaSet's status that this module reads.
type ReplicaSetStatus struct {
	ObservedGeneration int64 `json:"observedGeneration"`
	Replicas           int32 `json:"replicas"`
	ReadyReplicas      int32 `json:"readyReplicas"`
}
