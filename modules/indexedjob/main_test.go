package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "Pod"}}

// squares returns an IndexedJob.
func squares(completions, parallelism int, change ...func(*IndexedJob)) IndexedJob {
	job := IndexedJob{Object: sdk.NewObject("batch.example.com/v1", "IndexedJob", "squares")}
	job.Metadata.Namespace = "default"
	job.Spec = Spec{
		Completions: new(completions), Parallelism: new(parallelism),
		Template: PodTemplate{Spec: map[string]any{"containers": []any{map[string]any{"name": "task", "image": "task:1"}}}},
	}
	for _, c := range change {
		c(&job)
	}
	return job
}

// remembering returns what gives a job a status of finished indexes.
func remembering(completed, failed string) func(*IndexedJob) {
	return func(j *IndexedJob) { j.Status.CompletedIndexes, j.Status.FailedIndexes = completed, failed }
}

// observed returns the Pods of the indexes 0, 1, … with these phases.
func observed(phases ...string) (pods []any) {
	for index, phase := range phases {
		if phase != "" {
			pods = append(pods, json.RawMessage(fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "squares-%d",
				"namespace": "default"}, "spec": {}, "status": {"phase": %q}}`, index, phase)))
		}
	}
	return pods
}

func TestPods(t *testing.T) {
	cases := map[string]struct {
		job                 IndexedJob
		pods                []any
		wantStart, wantKeep []string
		want                Status
	}{
		"it begins with the lowest indexes": {
			job:       squares(5, 2),
			wantStart: []string{"Pod squares-0", "Pod squares-1"},
			want:      Status{Active: 2},
		},
		"with one at a time where nothing is said": {
			job:       squares(0, 0, func(j *IndexedJob) { j.Spec.Completions, j.Spec.Parallelism = nil, nil }),
			wantStart: []string{"Pod squares-0"},
			want:      Status{Active: 1},
		},
		"no more than may run at the same time": {
			job: squares(5, 2), pods: observed("Running", "Pending"),
			wantKeep: []string{"squares-0", "squares-1"},
			want:     Status{Active: 2},
		},
		"one that is finished makes room for the next": {
			job: squares(5, 2), pods: observed("Running", "Succeeded"),
			wantStart: []string{"Pod squares-2"}, wantKeep: []string{"squares-0", "squares-1"},
			want: Status{Active: 2, Succeeded: 1, CompletedIndexes: "1"},
		},
		"one that failed is not tried again": {
			job: squares(3, 1), pods: observed("Failed"),
			wantStart: []string{"Pod squares-1"}, wantKeep: []string{"squares-0"},
			want: Status{Active: 1, Failed: 1, FailedIndexes: "0"},
		},
		"a Pod that was deleted while it ran is run again": {
			job: squares(3, 2), pods: observed("", "Running"),
			wantStart: []string{"Pod squares-0"}, wantKeep: []string{"squares-1"},
			want: Status{Active: 2},
		},
		"a Pod that was deleted after it had finished is not": {
			job: squares(4, 2, remembering("0", "1")), pods: observed("", "", "Running"),
			wantStart: []string{"Pod squares-3"}, wantKeep: []string{"squares-2"},
			want: Status{Active: 2, Succeeded: 1, Failed: 1, CompletedIndexes: "0", FailedIndexes: "1"},
		},
		"what is finished stays as it was": {
			job: squares(1, 1, remembering("", "0")), pods: observed("Succeeded"),
			wantKeep: []string{"squares-0"},
			want:     Status{Failed: 1, FailedIndexes: "0"},
		},
		"less parallelism stops nothing that runs": {
			job: squares(5, 1), pods: observed("Running", "Running"),
			wantKeep: []string{"squares-0", "squares-1"},
			want:     Status{Active: 2},
		},
		"fewer completions give up the indexes beyond": {
			job: squares(1, 2, remembering("0-1", "")), pods: observed("Succeeded", "Succeeded", "Running"),
			wantKeep: []string{"squares-0"},
			want:     Status{Succeeded: 1, CompletedIndexes: "0"},
		},
		"and more completions go on": {
			job: squares(4, 5, remembering("0-1", "")), pods: observed("Succeeded", "Succeeded"),
			wantStart: []string{"Pod squares-2", "Pod squares-3"}, wantKeep: []string{"squares-0", "squares-1"},
			want: Status{Active: 2, Succeeded: 2, CompletedIndexes: "0-1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := sdktest.Request{Object: tc.job, Children: tc.pods, Owns: owns}
			got := sdktest.Reconcile(t, sdk.Registered(), request)
			if diff := cmp.Diff(tc.wantStart, sdktest.Names(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Pods to start (-want +got):\n%s", diff)
			}
			var kept []string
			for _, ref := range got.Keep {
				kept = append(kept, ref.Name)
			}
			if diff := cmp.Diff(tc.wantKeep, kept); diff != "" {
				t.Errorf("Pods to keep (-want +got):\n%s", diff)
			}
			status := sdktest.Status[Status](t, got)
			status.Conditions = nil
			if diff := cmp.Diff(tc.want, status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			settled := sdktest.Settle(t, sdk.Registered(), request)
			if len(settled.Children) != 0 {
				t.Errorf("at rest there is no Pod to start, got %v", sdktest.Names(settled))
			}
		})
	}
}

func TestConditions(t *testing.T) {
	cases := map[string]struct {
		phases           []string
		complete, failed sdk.Condition
	}{
		"running": {
			phases:   []string{"Succeeded", "Running"},
			complete: sdk.Condition{Type: "Complete", Status: sdk.False, Reason: "Running", Message: "1 of 2 indexes have succeeded"},
			failed:   sdk.Condition{Type: "Failed", Status: sdk.False, Reason: "AsExpected"},
		},
		"running on after a failure": {
			phases:   []string{"Failed", "Running"},
			complete: sdk.Condition{Type: "Complete", Status: sdk.False, Reason: "Running", Message: "0 of 2 indexes have succeeded"},
			failed:   sdk.Condition{Type: "Failed", Status: sdk.False, Reason: "AsExpected"},
		},
		"all succeeded": {
			phases:   []string{"Succeeded", "Succeeded"},
			complete: sdk.Condition{Type: "Complete", Status: sdk.True, Reason: "AllSucceeded", Message: "2 of 2 indexes have succeeded"},
			failed:   sdk.Condition{Type: "Failed", Status: sdk.False, Reason: "AsExpected"},
		},
		"one failed": {
			phases:   []string{"Succeeded", "Failed"},
			complete: sdk.Condition{Type: "Complete", Status: sdk.False, Reason: "IndexesFailed", Message: "1 of 2 indexes have succeeded"},
			failed:   sdk.Condition{Type: "Failed", Status: sdk.True, Reason: "IndexesFailed", Message: "failed: 1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: squares(2, 2), Children: observed(tc.phases...), Owns: owns})
			if diff := cmp.Diff([]sdk.Condition{tc.complete, tc.failed}, sdktest.Status[Status](t, got).Conditions); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	job := squares(8, 8, func(j *IndexedJob) {
		j.Spec.Template = PodTemplate{
			Metadata: TemplateMeta{Labels: map[string]string{"team": "maths"}, Annotations: map[string]string{"note": "x"}},
			Spec: map[string]any{
				"restartPolicy":  "OnFailure",
				"initContainers": []any{map[string]any{"name": "setup"}},
				"containers": []any{map[string]any{"name": "task", "env": []any{
					map[string]any{"name": "JOB_INDEX", "value": "mine"}, map[string]any{"name": "MODE", "value": "fast"},
				}}},
			},
		}
	})
	got := sdktest.Child[Pod](t, sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: job, Owns: owns}), "Pod", "squares-7")
	index := map[string]any{"name": "JOB_INDEX", "value": "7"}
	want := Pod{Object: sdk.NewObject("v1", "Pod", "squares-7").WithLabels(map[string]string{
		"team": "maths", "app.kubernetes.io/name": "indexedjob", "app.kubernetes.io/instance": "squares", "batch.example.com/index": "7",
	})}
	want.Metadata.Annotations = map[string]string{"note": "x"}
	want.Spec = map[string]any{
		"restartPolicy":  "OnFailure",
		"initContainers": []any{map[string]any{"name": "setup", "env": []any{index}}},
		"containers":     []any{map[string]any{"name": "task", "env": []any{map[string]any{"name": "MODE", "value": "fast"}, index}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Pod (-want +got):\n%s", diff)
	}
	plain := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: squares(1, 1), Owns: owns})
	if policy := sdktest.Child[Pod](t, plain, "Pod", "squares-0").Spec["restartPolicy"]; policy != "Never" {
		t.Errorf("restart policy %v, want Never", policy)
	}
}

func TestIndexes(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"none":                       {"", ""},
		"one":                        {"7", "7"},
		"a range":                    {"0-3", "0-3"},
		"out of order":               {"7,3,0-2,4", "0-4,7"},
		"beyond the limit":           {"8-12,40", "8-9"},
		"a huge range":               {"0-999999999", "0-9"},
		"what is no list of indexes": {"x,1-y,-4,2-1,,5", "5"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := parseIndexes(tc.text, 10).String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
