package main

import "github.com/wasmloop/wasmloop/sdk"

const (
	// colorLabel is on the Pods of each colour. The Service selects by it.
	colorLabel = "apps.example.com/color"
	// templateAnnotation is a ReplicaSet's annotation with the hash of the template that it was made from: the API server
	// fills in defaults, so that the template itself no longer tells.
	templateAnnotation = "apps.example.com/template-hash"
)

func serviceName(deployment string) string { return sdk.Name(deployment) }

func setName(deployment string, color Color) string { return sdk.Name(deployment, string(color)) }

// labels are what selects the Pods of a colour.
func labels(deployment BlueGreenDeployment, color Color) map[string]string {
	return sdk.MergeLabels(sdk.AppLabels("bluegreen", deployment.Metadata.Name), map[string]string{colorLabel: string(color)})
}

func service(deployment BlueGreenDeployment, color Color) Service {
	return Service{
		Object: sdk.NewObject("v1", "Service", serviceName(deployment.Metadata.Name)).
			WithLabels(sdk.AppLabels("bluegreen", deployment.Metadata.Name)),
		Spec: ServiceSpec{Selector: labels(deployment, color), Ports: deployment.Spec.Ports},
	}
}

// replicaSet returns the ReplicaSet of a colour as the deployment wants it now.
func replicaSet(deployment BlueGreenDeployment, color Color) ReplicaSet {
	selected := labels(deployment, color)
	set := ReplicaSet{
		Object: sdk.NewObject("apps/v1", "ReplicaSet", setName(deployment.Metadata.Name, color)).WithLabels(selected),
		Spec: ReplicaSetSpec{
			Replicas: deployment.replicas(),
			Selector: Selector{MatchLabels: selected},
			Template: PodTemplate{
				Metadata: TemplateMeta{
					Labels:      sdk.MergeLabels(deployment.Spec.Template.Metadata.Labels, selected),
					Annotations: deployment.Spec.Template.Metadata.Annotations,
				},
				Spec: deployment.Spec.Template.Spec,
			},
		},
	}
	set.Metadata.Annotations = map[string]string{templateAnnotation: deployment.hash()}
	return set
}

// scaled returns what this module owns of an observed ReplicaSet, with its template as it is and another number of
// replicas.
func (s observedReplicaSet) scaled(replicas int32) ReplicaSet {
	set := ReplicaSet{
		Object: sdk.NewObject("apps/v1", "ReplicaSet", s.Metadata.Name).WithLabels(s.Spec.Selector.MatchLabels),
		Spec:   s.Spec,
	}
	set.Metadata.Annotations = map[string]string{templateAnnotation: s.Metadata.Annotations[templateAnnotation]}
	set.Spec.Replicas = replicas
	return set
}

// isOf tells whether a ReplicaSet is of the template that the deployment wants.
func (s observedReplicaSet) isOf(deployment BlueGreenDeployment) bool {
	return s.Metadata.Annotations[templateAnnotation] == deployment.hash()
}

// ready tells whether a ReplicaSet has just so many Pods, and all are ready. Its status says nothing about a spec that the
// ReplicaSet's own controller has not seen.
func (s observedReplicaSet) ready(replicas int32) bool {
	return s.Spec.Replicas == replicas && s.Status.ObservedGeneration == s.Metadata.Generation &&
		s.Status.Replicas == replicas && s.Status.ReadyReplicas == replicas
}
