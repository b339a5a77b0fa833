package main

import (
	"maps"
	"slices"

	"github.com/wasmloop/wasmloop/sdk"
)

// specAnnotation is the annotation of the Pods with the hash of the spec that they were made from.
const specAnnotation = "batch.example.com/spec-hash"

func setName(job string) string { return sdk.Name(job) }

// daemonSet returns the DaemonSet whose Pods do the job's work, and then do nothing until they are taken away.
func daemonSet(job DaemonJob) DaemonSet {
	labels := sdk.AppLabels("daemonjob", job.Metadata.Name)
	template := job.Spec.Template
	return DaemonSet{
		Object: sdk.NewObject("apps/v1", "DaemonSet", setName(job.Metadata.Name)).WithLabels(labels),
		Spec: DaemonSetSpec{
			Selector: Selector{MatchLabels: labels},
			Template: PodTemplate{
				Metadata: TemplateMeta{
					Labels:      sdk.MergeLabels(template.Metadata.Labels, labels),
					Annotations: sdk.MergeLabels(template.Metadata.Annotations, map[string]string{specAnnotation: job.hash()}),
				},
				Spec: podSpec(job),
			},
		},
	}
}

// podSpec returns the template's, with its containers as init containers, which run one after the other until each has
// succeeded. So a Pod whose only container runs, the one that does nothing, has done its work.
func podSpec(job DaemonJob) map[string]any {
	spec := maps.Clone(job.Spec.Template.Spec)
	before, _ := spec["initContainers"].([]any)
	tasks, _ := spec["containers"].([]any)
	spec["initContainers"] = slices.Concat(before, tasks)
	spec["containers"] = []any{map[string]any{
		"name":      "done",
		"image":     job.Spec.PauseImage,
		"resources": map[string]any{"requests": map[string]any{"cpu": "1m", "memory": "8Mi"}},
	}}
	delete(spec, "restartPolicy") // a DaemonSet's Pods have no other than Always
	return spec
}
