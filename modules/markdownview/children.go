package main

import "github.com/wasmloop/wasmloop/sdk"

const (
	// port is where mdBook listens, portName what probes and the Service call it.
	port     = 3000
	portName = "http"
	// bookDir is where mdBook works; it reads the texts from src in it and writes its pages beside that.
	bookDir = "/book"
	// user is an unprivileged user, as the image itself would run as root.
	user = 65532
	// checksumAnnotation is the pod template's annotation with the checksum of the text that the Pods serve.
	checksumAnnotation = "view.example.com/markdowns-checksum"
)

func markdownsName(view string) string { return sdk.Name("markdowns", view) }

func viewerName(view string) string { return sdk.Name("viewer", view) }

// labels are those of all children, and what the Deployment and the Service select Pods by.
func labels(view MarkdownView) map[string]string {
	return sdk.AppLabels("markdownview", view.Metadata.Name)
}

func checksum(view MarkdownView) string { return sdk.Hash(view.Spec.Markdowns) }

func configMap(view MarkdownView) ConfigMap {
	return ConfigMap{
		Object: sdk.NewObject("v1", "ConfigMap", markdownsName(view.Metadata.Name)).WithLabels(labels(view)),
		Data:   view.Spec.Markdowns,
	}
}

func deploymentFor(view MarkdownView) Deployment {
	labels := labels(view)
	return Deployment{
		Object: sdk.NewObject("apps/v1", "Deployment", viewerName(view.Metadata.Name)).WithLabels(labels),
		Spec: DeploymentSpec{
			Replicas: *view.Spec.Replicas,
			Selector: Selector{MatchLabels: labels},
			Template: PodTemplate{
				Metadata: TemplateMeta{
					Labels: labels,
					// New text makes new Pods, so that a rollout shows when it is served everywhere.
					Annotations: map[string]string{checksumAnnotation: checksum(view)},
				},
				Spec: podSpec(view),
			},
		},
	}
}

func podSpec(view MarkdownView) PodSpec {
	return PodSpec{
		SecurityContext: PodSecurityContext{
			RunAsNonRoot:   true,
			RunAsUser:      user,
			RunAsGroup:     user,
			FSGroup:        user,
			SeccompProfile: SeccompProfile{Type: "RuntimeDefault"},
		},
		Containers: []Container{viewer(view)},
		Volumes: []Volume{
			{Name: "book", EmptyDir: &EmptyDirVolume{}},
			{Name: "markdowns", ConfigMap: &ConfigMapVolume{Name: markdownsName(view.Metadata.Name)}},
		},
	}
}

func viewer(view MarkdownView) Container {
	probe := Probe{HTTPGet: HTTPGet{Path: "/", Port: portName}}
	return Container{
		Name:           "mdbook",
		Image:          view.Spec.ViewerImage,
		Command:        []string{"mdbook"},
		Args:           []string{"serve", "--hostname", "0.0.0.0"},
		WorkingDir:     bookDir,
		Ports:          []ContainerPort{{Name: portName, ContainerPort: port, Protocol: "TCP"}},
		ReadinessProbe: probe,
		LivenessProbe:  probe,
		Resources: Resources{
			Requests: map[string]string{"cpu": "10m", "memory": "32Mi"},
			Limits:   map[string]string{"memory": "256Mi"},
		},
		SecurityContext: SecurityContext{
			ReadOnlyRootFilesystem: true,
			Capabilities:           Capabilities{Drop: []string{"ALL"}},
		},
		VolumeMounts: []VolumeMount{
			{Name: "book", MountPath: bookDir},
			{Name: "markdowns", MountPath: bookDir + "/src", ReadOnly: true},
		},
	}
}

func service(view MarkdownView) Service {
	labels := labels(view)
	return Service{
		Object: sdk.NewObject("v1", "Service", viewerName(view.Metadata.Name)).WithLabels(labels),
		Spec: ServiceSpec{
			Selector: labels,
			Ports:    []ServicePort{{Name: portName, Port: 80, TargetPort: portName, Protocol: "TCP"}},
		},
	}
}
