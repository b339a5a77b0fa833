package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "apps/v1", Kind: "DaemonSet"}}

// tidy returns a DaemonJob that runs a command.
func tidy(command string, change ...func(*DaemonJob)) DaemonJob {
	job := DaemonJob{Object: sdk.NewObject("batch.example.com/v1", "DaemonJob", "tidy")}
	job.Metadata.Namespace = "default"
	job.Spec.Template.Spec = map[string]any{
		"restartPolicy":  "Always",
		"nodeSelector":   map[string]any{"disk": "ssd"},
		"initContainers": []any{map[string]any{"name": "before"}},
		"containers":     []any{map[string]any{"name": "task", "image": "busybox", "command": []any{command}}},
	}
	job.setDefaults()
	for _, c := range change {
		c(&job)
	}
	return job
}

// observed returns the DaemonSet that was made for a job, in its second generation and with this status.
func observed(job DaemonJob, status DaemonSetStatus) any {
	set := daemonSet(job)
	set.Metadata.Namespace = "default"
	encoded, _ := json.Marshal(set) // it is made of strings
	var object map[string]any
	_ = json.Unmarshal(encoded, &object)
	object["metadata"].(map[string]any)["generation"] = 2
	object["status"] = status
	return object
}

func TestDaemonSet(t *testing.T) {
	job := tidy("a", func(j *DaemonJob) {
		j.Spec.Template.Metadata = TemplateMeta{Labels: map[string]string{"team": "ops"}, Annotations: map[string]string{"note": "x"}}
	})
	got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: job, Owns: owns})
	labels := map[string]string{"app.kubernetes.io/name": "daemonjob", "app.kubernetes.io/instance": "tidy"}
	want := DaemonSet{
		Object: sdk.NewObject("apps/v1", "DaemonSet", "tidy").WithLabels(labels),
		Spec: DaemonSetSpec{
			Selector: Selector{MatchLabels: labels},
			Template: PodTemplate{
				Metadata: TemplateMeta{
					Labels:      sdk.MergeLabels(labels, map[string]string{"team": "ops"}),
					Annotations: map[string]string{"note": "x", "batch.example.com/spec-hash": job.hash()},
				},
				Spec: map[string]any{
					"nodeSelector": map[string]any{"disk": "ssd"},
					"initContainers": []any{
						map[string]any{"name": "before"},
						map[string]any{"name": "task", "image": "busybox", "command": []any{"a"}},
					},
					"containers": []any{map[string]any{
						"name": "done", "image": "registry.k8s.io/pause:3.10",
						"resources": map[string]any{"requests": map[string]any{"cpu": "1m", "memory": "8Mi"}},
					}},
				},
			},
		},
	}
	if diff := cmp.Diff(want, sdktest.Child[DaemonSet](t, got, "DaemonSet", "tidy")); diff != "" {
		t.Errorf("DaemonSet (-want +got):\n%s", diff)
	}
}

func TestStatus(t *testing.T) {
	job := tidy("a")
	starting := Status{Conditions: []sdk.Condition{
		{Type: "Complete", Status: sdk.False, Reason: "Starting", Message: "the DaemonSet's Pods are not counted yet"},
	}}
	running := func(succeeded int32, message string) Status {
		return Status{Nodes: 3, Succeeded: succeeded, Conditions: []sdk.Condition{
			{Type: "Complete", Status: sdk.False, Reason: "Running", Message: message},
		}}
	}
	everywhere := DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3}
	cases := map[string]struct {
		children []any
		want     Status
	}{
		"nothing is there yet": {want: starting},
		"the DaemonSet's controller has not seen it": {
			children: []any{observed(job, DaemonSetStatus{})},
			want:     starting,
		},
		"nor its last change": {
			children: []any{observed(job, DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3})},
			want:     starting,
		},
		"it is of another task": {
			children: []any{observed(tidy("b"), everywhere)},
			want:     starting,
		},
		"no node is none to be done with": {
			children: []any{observed(job, DaemonSetStatus{ObservedGeneration: 2})},
			want: Status{Conditions: []sdk.Condition{
				{Type: "Complete", Status: sdk.False, Reason: "NoNodes", Message: "there is no node to run on"},
			}},
		},
		"two of three": {
			children: []any{observed(job, DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 2})},
			want:     running(2, "done on 2 of 3 nodes"),
		},
		"Pods of an earlier task do not count": {
			children: []any{observed(job, DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 1, NumberReady: 3})},
			want:     running(0, "done on 0 of 3 nodes"),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := sdktest.Request{Object: job, Children: tc.children, Owns: owns}
			got := sdktest.Reconcile(t, sdk.Registered(), request)
			if diff := cmp.Diff(tc.want, sdktest.Status[Status](t, got)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"DaemonSet tidy"}, sdktest.Names(got)); diff != "" {
				t.Errorf("children (-want +got):\n%s", diff)
			}
			sdktest.Settle(t, sdk.Registered(), request)
		})
	}
}

// The DaemonSet goes when the status says that it may, and not in the same step: a host that ends in between would find
// neither, and run the task again.
func TestCompletion(t *testing.T) {
	job := tidy("a")
	set := observed(job, DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3})
	last := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: job, Children: []any{set}, Owns: owns})
	done := sdktest.Status[Status](t, last)
	want := Status{Nodes: 3, Succeeded: 3, CompletedHash: job.hash(), Conditions: []sdk.Condition{
		{Type: "Complete", Status: sdk.True, Reason: "DoneEverywhere", Message: "done on 3 of 3 nodes"},
	}}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if names := sdktest.Names(last); len(names) != 1 {
		t.Errorf("the DaemonSet goes too early: children %v", names)
	}

	finished := tidy("a", func(j *DaemonJob) { j.Status = done })
	for name, children := range map[string][]any{"it goes": {set}, "and is not made again": nil} {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: finished, Children: children, Owns: owns})
			if names := sdktest.Names(got); names == nil || len(names) > 0 || got.Status != nil {
				t.Errorf("want no children and the status left alone, got %s", got.Raw)
			}
		})
	}
	t.Run("another task is another job", func(t *testing.T) {
		changed := tidy("b", func(j *DaemonJob) { j.Status = done })
		got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: changed, Owns: owns})
		if status := sdktest.Status[Status](t, got); len(got.Children) != 1 || !sdk.ConditionIs(status.Conditions, "Complete", sdk.False) {
			t.Errorf("want a DaemonSet and a status that begins anew, got %s", got.Raw)
		}
	})
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
