package main

import "github.com/wasmloop/wasmloop/sdk"

// IndexedJob is a task that runs once for each index.
type IndexedJob struct {
	sdk.Object
	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitzero"`
}

// Spec says what to run.
type Spec struct {
	// Completions is how many indexes there are, from 0 on. Default: 1.
	Completions *int `json:"completions,omitempty"`
	// Parallelism is how many Pods may run at the same time. Default: 1.
	Parallelism *int `json:"parallelism,omitempty"`
	// Template is what the Pods are made from.
	Template PodTemplate `json:"template"`
}

func (j *IndexedJob) setDefaults() {
	if j.Spec.Completions == nil {
		j.Spec.Completions = new(1)
	}
	if j.Spec.Parallelism == nil {
		j.Spec.Parallelism = new(1)
	}
}

func (j *IndexedJob) completions() int { return *j.Spec.Completions }

func (j *IndexedJob) parallelism() int { return *j.Spec.Parallelism }

// PodTemplate is what Pods are made from. The spec is passed on as it is, but for the index.
type PodTemplate struct {
	Metadata TemplateMeta   `json:"metadata"`
	Spec     map[string]any `json:"spec"`
}

// TemplateMeta is the metadata of a PodTemplate, which has no name.
type TemplateMeta struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Pod is the part of a v1 Pod that this module owns, and the phase that it reads.
type Pod struct {
	sdk.Object
	Spec   map[string]any `json:"spec"`
	Status PodStatus      `json:"status,omitzero"`
}

// PodStatus is the part of a Pod's status that this module reads.
type PodStatus struct {
	Phase string `json:"phase"`
}
