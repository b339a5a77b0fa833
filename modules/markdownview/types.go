package main

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// summary is the file that mdBook takes the table of contents from.
const summary = "SUMMARY.md"

// defaultImage is what the CRD's default says too, for objects that were made without it.
const defaultImage = "peaceiris/mdbook:latest"

// maxSize is what a ConfigMap can hold, in bytes.
const maxSize = 1 << 20

// MarkdownView is a book that is served on the web.
type MarkdownView struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says what to serve.
type Spec struct {
	// Markdowns are the book's files by name. SUMMARY.md is the table of contents.
	Markdowns map[string]string `json:"markdowns"`
	// Replicas is how many viewers serve the book. Default: 1.
	Replicas *int32 `json:"replicas,omitempty"`
	// ViewerImage is an image with mdBook in it. Default: peaceiris/mdbook:latest.
	ViewerImage string `json:"viewerImage,omitempty"`
}

func (v *MarkdownView) setDefaults() {
	if v.Spec.Replicas == nil {
		v.Spec.Replicas = new(int32(1))
	}
	if v.Spec.ViewerImage == "" {
		v.Spec.ViewerImage = defaultImage
	}
}

// problem says why the spec cannot be served, or "". The CRD refuses most of this already; the module does not rely on
// which version of the CRD is installed.
func (v *MarkdownView) problem() string {
	if _, ok := v.Spec.Markdowns[summary]; !ok {
		return "spec.markdowns must have a " + summary
	}
	if *v.Spec.Replicas < 0 {
		return "spec.replicas must not be negative"
	}
	size := 0
	for name, text := range v.Spec.Markdowns {
		size += len(name) + len(text)
	}
	if size > maxSize {
		return fmt.Sprintf("spec.markdowns has %d bytes, and a ConfigMap holds %d", size, maxSize)
	}
	return ""
}

// ConfigMap is the part of a v1 ConfigMap that this module owns.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
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
	Name       string `json:"name"`
	Port       int32  `json:"port"`
	TargetPort string `json:"targetPort"`
	Protocol   string `json:"protocol"`
}

// Deployment is the part of an apps/v1 Deployment that this module owns.
type Deployment struct {
	sdk.Object
	Spec DeploymentSpec `json:"spec"`
}

// observedDeployment is what this module looks at of a Deployment as it is in the cluster. What a type does not name is not decoded.
type observedDeployment struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Replicas int32               `json:"replicas"`
		Template observedPodTemplate `json:"template"`
	} `json:"spec"`
	Status DeploymentStatus `json:"status"`
}

// observedPodTemplate is what Pods are made from.
type observedPodTemplate struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers []struct {
			Image string `json:"image"`
		} `json:"containers"`
	} `json:"spec"`
}

// DeploymentSpec is the part of a Deployment's spec that this module owns.
type DeploymentSpec struct {
	Replicas int32       `json:"replicas"`
	Selector Selector    `json:"selector"`
	Template PodTemplate `json:"template"`
}

// DeploymentStatus is the part of a Deployment's status that this module reads.
type DeploymentStatus struct {
	ObservedGeneration int64           `json:"observedGeneration"`
	Replicas           int32           `json:"replicas"`
	UpdatedReplicas    int32           `json:"updatedReplicas"`
	AvailableReplicas  int32           `json:"availableReplicas"`
	Conditions         []sdk.Condition `json:"conditions"`
}

// Selector selects Pods by their labels.
type Selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// PodTemplate is what a Deployment makes Pods from.
type PodTemplate struct {
	Metadata TemplateMeta `json:"metadata"`
	Spec     PodSpec      `json:"spec"`
}

// TemplateMeta is the metadata of a PodTemplate, which has no name.
type TemplateMeta struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// PodSpec is the part of a Pod's spec that this module owns.
type PodSpec struct {
	AutomountServiceAccountToken bool               `json:"automountServiceAccountToken"`
	EnableServiceLinks           bool               `json:"enableServiceLinks"`
	SecurityContext              PodSecurityContext `json:"securityContext"`
	Containers                   []Container        `json:"containers"`
	Volumes                      []Volume           `json:"volumes"`
}

// PodSecurityContext is the security context of a Pod.
type PodSecurityContext struct {
	RunAsNonRoot   bool           `json:"runAsNonRoot"`
	RunAsUser      int64          `json:"runAsUser"`
	RunAsGroup     int64          `json:"runAsGroup"`
	FSGroup        int64          `json:"fsGroup"`
	SeccompProfile SeccompProfile `json:"seccompProfile"`
}

// SeccompProfile names a profile of system calls.
type SeccompProfile struct {
	Type string `json:"type"`
}

// Container is one container of a Pod.
type Container struct {
	Name            string          `json:"name"`
	Image           string          `json:"image"`
	Command         []string        `json:"command"`
	Args            []string        `json:"args"`
	WorkingDir      string          `json:"workingDir"`
	Ports           []ContainerPort `json:"ports"`
	ReadinessProbe  Probe           `json:"readinessProbe"`
	LivenessProbe   Probe           `json:"livenessProbe"`
	Resources       Resources       `json:"resources"`
	SecurityContext SecurityContext `json:"securityContext"`
	VolumeMounts    []VolumeMount   `json:"volumeMounts"`
}

// ContainerPort is a port that a container listens on.
type ContainerPort struct {
	Name          string `json:"name"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

// Probe asks a container how it is.
type Probe struct {
	HTTPGet HTTPGet `json:"httpGet"`
}

// HTTPGet is a request of a Probe.
type HTTPGet struct {
	Path string `json:"path"`
	Port string `json:"port"`
}

// Resources are what a container gets at least and at most.
type Resources struct {
	Requests map[string]string `json:"requests"`
	Limits   map[string]string `json:"limits"`
}

// SecurityContext is the security context of a container.
type SecurityContext struct {
	AllowPrivilegeEscalation bool         `json:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool         `json:"readOnlyRootFilesystem"`
	Capabilities             Capabilities `json:"capabilities"`
}

// Capabilities are those that a container has to do without.
type Capabilities struct {
	Drop []string `json:"drop"`
}

// Volume is a volume of a Pod.
type Volume struct {
	Name      string           `json:"name"`
	ConfigMap *ConfigMapVolume `json:"configMap,omitempty"`
	EmptyDir  *EmptyDirVolume  `json:"emptyDir,omitempty"`
}

// ConfigMapVolume is a Volume with the files of a ConfigMap.
type ConfigMapVolume struct {
	Name string `json:"name"`
}

// EmptyDirVolume is a Volume that starts empty.
type EmptyDirVolume struct{}

// VolumeMount puts a Volume into a container.
type VolumeMount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}
