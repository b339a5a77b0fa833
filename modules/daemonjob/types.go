package main

import "github.com/wasmloop/wasmloop/sdk"

// defaultPauseImage is what the CRD's default says too, for objects that were made without it.
const defaultPauseImage = "registry.k8s.io/pause:3.10"

// DaemonJob is a task that runs to its end once on each node.
type DaemonJob struct {
	sdk.Object
	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitzero"`
}

// Spec says what to run.
type Spec struct {
	// PauseImage is an image that does nothing, for Pods that have done their work. Default: registry.k8s.io/pause:3.10.
	PauseImage string `json:"pauseImage,omitempty"`
	// Template is what the Pods are made from. Its containers run one after the other.
	Template PodTemplate `json:"template"`
}

func (j *DaemonJob) setDefaults() {
	if j.Spec.PauseImage == "" {
		j.Spec.PauseImage = defaultPauseImage
	}
}

// hash tells specs apart.
func (j *DaemonJob) hash() string { return sdk.Hash(j.Spec) }

// complete tells whether the status says that the job is done, as its spec is now.
func (j *DaemonJob) complete() bool {
	return j.Status.CompletedHash == j.hash() && sdk.ConditionIs(j.Status.Conditions, "Complete", sdk.True)
}

// PodTemplate is what Pods are made from. The spec is passed on as it is, but for its containers.
type PodTemplate struct {
	Metadata TemplateMeta   `json:"metadata"`
	Spec     map[string]any `json:"spec"`
}

// TemplateMeta is the metadata of a PodTemplate, which has no name.
type TemplateMeta struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DaemonSet is the part of an apps/v1 DaemonSet that this module owns.
type DaemonSet struct {
	sdk.Object
	Spec DaemonSetSpec `json:"spec"`
}

// DaemonSetSpec is the part of a DaemonSet's spec that this module owns.
type DaemonSetSpec struct {
	Selector Selector    `json:"selector"`
	Template PodTemplate `json:"template"`
}

// Selector selects Pods by their labels.
type Selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// observedDaemonSet is a DaemonSet as it is in the cluster.
type observedDaemonSet struct {
	Metadata sdk.Meta        `json:"metadata"`
	Spec     DaemonSetSpec   `json:"spec"`
	Status   DaemonSetStatus `json:"status"`
}

// DaemonSetStatus is the part of a DaemonSet's status that this module reads.
type DaemonSetStatus struct {
	ObservedGeneration     int64 `json:"observedGeneration"`
	DesiredNumberScheduled int32 `json:"desiredNumberScheduled"`
	UpdatedNumberScheduled int32 `json:"updatedNumberScheduled"`
	NumberReady            int32 `json:"numberReady"`
}
