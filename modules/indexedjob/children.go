package main

import (
	"maps"
	"strconv"

	"github.com/wasmloop/wasmloop/sdk"
)

const (
	// indexVariable is the environment variable that tells a task which index it is.
	indexVariable = "JOB_INDEX"
	// indexLabel is a Pod's label with its index, for people.
	indexLabel = "batch.example.com/index"
)

func podName(job string, index int) string { return sdk.Name(job, strconv.Itoa(index)) }

// pod returns the Pod that runs the task for an index.
func pod(job IndexedJob, index int) Pod {
	template := job.Spec.Template
	labels := sdk.MergeLabels(template.Metadata.Labels, sdk.AppLabels("indexedjob", job.Metadata.Name),
		map[string]string{indexLabel: strconv.Itoa(index)})
	pod := Pod{Object: sdk.NewObject("v1", "Pod", podName(job.Metadata.Name, index)).WithLabels(labels)}
	pod.Metadata.Annotations = template.Metadata.Annotations
	pod.Spec = maps.Clone(template.Spec)
	if pod.Spec["restartPolicy"] == nil {
		pod.Spec["restartPolicy"] = "Never"
	}
	for _, field := range []string{"initContainers", "containers"} {
		if containers, ok := pod.Spec[field].([]any); ok {
			pod.Spec[field] = withIndex(containers, index)
		}
	}
	return pod
}

// withIndex returns the containers with the index in the environment of each.
func withIndex(containers []any, index int) []any {
	told := make([]any, len(containers))
	for i, item := range containers {
		container, ok := item.(map[string]any)
		if !ok {
			told[i] = item // the API server will say what is wrong with it
			continue
		}
		container = maps.Clone(container)
		container["env"] = append(environment(container), map[string]any{"name": indexVariable, "value": strconv.Itoa(index)})
		told[i] = container
	}
	return told
}

// environment returns a container's variables but the index.
func environment(container map[string]any) []any {
	var others []any
	variables, _ := container["env"].([]any)
	for _, item := range variables {
		if variable, ok := item.(map[string]any); !ok || variable["name"] != indexVariable {
			others = append(others, item)
		}
	}
	return others
}
