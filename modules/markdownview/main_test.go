package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{
	{APIVersion: "v1", Kind: "ConfigMap"}, {APIVersion: "apps/v1", Kind: "Deployment"}, {APIVersion: "v1", Kind: "Service"},
}

// book returns a MarkdownView with the defaults for all but its text.
func book(name string, change ...func(*Spec)) MarkdownView {
	view := MarkdownView{
		Object: sdk.NewObject("view.example.com/v1", "MarkdownView", name),
		Spec:   Spec{Markdowns: map[string]string{"SUMMARY.md": "# Summary", "a.md": "# A"}},
	}
	view.Metadata.Namespace = "default"
	for _, c := range change {
		c(&view.Spec)
	}
	return view
}

func TestChildren(t *testing.T) {
	got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: book("handbook"), Owns: owns})

	want := []string{"ConfigMap markdowns-handbook", "Deployment viewer-handbook", "Service viewer-handbook"}
	if diff := cmp.Diff(want, sdktest.Names(got)); diff != "" {
		t.Fatalf("children (-want +got):\n%s", diff)
	}
	labels := map[string]string{"app.kubernetes.io/name": "markdownview", "app.kubernetes.io/instance": "handbook"}
	config := sdktest.Child[ConfigMap](t, got, "ConfigMap", "markdowns-handbook")
	wantConfig := ConfigMap{
		Object: sdk.NewObject("v1", "ConfigMap", "markdowns-handbook").WithLabels(labels),
		Data:   map[string]string{"SUMMARY.md": "# Summary", "a.md": "# A"},
	}
	if diff := cmp.Diff(wantConfig, config); diff != "" {
		t.Errorf("ConfigMap (-want +got):\n%s", diff)
	}
	service := sdktest.Child[Service](t, got, "Service", "viewer-handbook")
	wantService := Service{
		Object: sdk.NewObject("v1", "Service", "viewer-handbook").WithLabels(labels),
		Spec:   ServiceSpec{Selector: labels, Ports: []ServicePort{{Name: "http", Port: 80, TargetPort: "http", Protocol: "TCP"}}},
	}
	if diff := cmp.Diff(wantService, service); diff != "" {
		t.Errorf("Service (-want +got):\n%s", diff)
	}
}

func TestDeployment(t *testing.T) {
	three := func(s *Spec) { s.Replicas = new(int32(3)) }
	image := func(s *Spec) { s.ViewerImage = "registry.example.com/mdbook:v1" }
	cases := map[string]struct {
		view         MarkdownView
		wantReplicas int32
		wantImage    string
	}{
		"defaults":      {view: book("a"), wantReplicas: 1, wantImage: defaultImage},
		"its own spec":  {view: book("a", three, image), wantReplicas: 3, wantImage: "registry.example.com/mdbook:v1"},
		"scaled to nil": {view: book("a", func(s *Spec) { s.Replicas = new(int32(0)) }), wantReplicas: 0, wantImage: defaultImage},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: tc.view, Owns: owns})
			deployment := sdktest.Child[Deployment](t, got, "Deployment", "viewer-a")
			if deployment.Spec.Replicas != tc.wantReplicas {
				t.Errorf("replicas: want %d, got %d", tc.wantReplicas, deployment.Spec.Replicas)
			}
			if image := deployment.Spec.Template.Spec.Containers[0].Image; image != tc.wantImage {
				t.Errorf("image: want %s, got %s", tc.wantImage, image)
			}
			pods := deployment.Spec.Template
			if diff := cmp.Diff(deployment.Spec.Selector.MatchLabels, pods.Metadata.Labels); diff != "" {
				t.Errorf("the selector misses the pods (-selector +labels):\n%s", diff)
			}
			if volume := pods.Spec.Volumes[1].ConfigMap; volume == nil || volume.Name != "markdowns-a" {
				t.Errorf("the pods do not mount the ConfigMap: %+v", pods.Spec.Volumes)
			}
		})
	}
}

// New text must roll the pods, and nothing else may: a rollout for nothing would be an outage for nothing.
func TestChecksum(t *testing.T) {
	template := func(view MarkdownView) PodTemplate {
		got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: view, Owns: owns})
		return sdktest.Child[Deployment](t, got, "Deployment", "viewer-a").Spec.Template
	}
	before := template(book("a"))
	if after := template(book("a", func(s *Spec) { s.Markdowns["a.md"] = "# Changed" })); cmp.Equal(before, after) {
		t.Error("the pod template is the same for a changed text")
	}
	if diff := cmp.Diff(before, template(book("a", func(s *Spec) { s.Replicas = new(int32(5)) }))); diff != "" {
		t.Errorf("the pod template differs for another number of replicas (-one +five):\n%s", diff)
	}
}

func TestLongNames(t *testing.T) {
	names := make(map[string]string)
	long := strings.Repeat("long-", 40)
	for _, name := range []string{long + "a", long + "b", "with.dots", "with-dots"} {
		got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: book(name), Owns: owns})
		for _, child := range got.Children {
			id := child.Reference().String()
			if other, taken := names[id]; taken {
				t.Errorf("%s is a child of both %s and %s", id, other, name)
			}
			names[id] = name
			if label := child.Reference().Name; len(label) > 63 || strings.Contains(label, ".") {
				t.Errorf("%s is no DNS label", label)
			}
		}
	}
}

// observed returns the Deployment that reconcile wants for view, with a status.
func observed(t *testing.T, view MarkdownView, status DeploymentStatus) map[string]any {
	t.Helper()
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: view, Owns: owns})
	deployment := sdktest.Child[map[string]any](t, got, "Deployment", viewerName(view.Metadata.Name))
	metadata := deployment["metadata"].(map[string]any)
	metadata["namespace"], metadata["generation"] = "default", 1
	deployment["status"] = status
	return deployment
}

func TestStatus(t *testing.T) {
	two := book("a", func(s *Spec) { s.Replicas = new(int32(2)) })
	changed := book("a", func(s *Spec) { s.Replicas = new(int32(2)); s.Markdowns["a.md"] = "# Changed" })
	up := sdk.Condition{Type: "Available", Status: sdk.True, Reason: "MinimumReplicasAvailable"}
	down := sdk.Condition{Type: "Available", Status: sdk.False, Reason: "MinimumReplicasUnavailable"}
	stuck := sdk.Condition{Type: "Progressing", Status: sdk.False, Reason: "ProgressDeadlineExceeded", Message: "timed out"}
	refused := sdk.Condition{Type: "ReplicaFailure", Status: sdk.True, Reason: "FailedCreate", Message: "quota exceeded"}
	complete := DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2, Conditions: []sdk.Condition{up}}

	healthy := sdk.Condition{Type: "Degraded", Status: sdk.False, Reason: "AsExpected"}
	serving := func(message string) sdk.Condition {
		return sdk.Condition{Type: "Available", Status: sdk.True, Reason: "MinimumReplicasAvailable", Message: message}
	}
	missing := func(message string) sdk.Condition {
		return sdk.Condition{Type: "Available", Status: sdk.False, Reason: "MinimumReplicasUnavailable", Message: message}
	}
	cases := map[string]struct {
		view     MarkdownView
		children []any
		want     Status
	}{
		"nothing is there yet": {
			view: two,
			want: Status{Phase: PhasePending, Conditions: []sdk.Condition{
				{Type: "Available", Status: sdk.False, Reason: "NoDeployment", Message: "the Deployment does not exist yet"}, healthy,
			}},
		},
		"the Deployment's controller has not seen it": {
			view:     two,
			children: []any{observed(t, two, DeploymentStatus{})},
			want:     Status{Phase: PhaseProgressing, Conditions: []sdk.Condition{missing("0 of 2 replicas are available"), healthy}},
		},
		"one of two": {
			view: two,
			children: []any{observed(t, two, DeploymentStatus{
				ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 1, Conditions: []sdk.Condition{down},
			})},
			want: Status{
				Phase: PhaseProgressing, AvailableReplicas: 1,
				Conditions: []sdk.Condition{missing("1 of 2 replicas are available"), healthy},
			},
		},
		"all of them": {
			view:     two,
			children: []any{observed(t, two, complete)},
			want: Status{
				Phase: PhaseAvailable, AvailableReplicas: 2,
				Conditions: []sdk.Condition{serving("2 of 2 replicas are available"), healthy},
			},
		},
		"all of them, with the text of yesterday": {
			view:     changed,
			children: []any{observed(t, two, complete)},
			want: Status{
				Phase: PhaseProgressing, AvailableReplicas: 2,
				Conditions: []sdk.Condition{serving("2 of 2 replicas are available"), healthy},
			},
		},
		"a status from before the last change": {
			view: two,
			children: []any{observed(t, two, DeploymentStatus{
				Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2, Conditions: []sdk.Condition{up},
			})},
			want: Status{
				Phase: PhaseProgressing, AvailableReplicas: 2,
				Conditions: []sdk.Condition{serving("2 of 2 replicas are available"), healthy},
			},
		},
		"a rollout that is stuck": {
			view: two,
			children: []any{observed(t, two, DeploymentStatus{
				ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 1, AvailableReplicas: 2, Conditions: []sdk.Condition{up, stuck},
			})},
			want: Status{
				Phase: PhaseDegraded, AvailableReplicas: 2,
				Conditions: []sdk.Condition{
					serving("2 of 2 replicas are available"),
					{Type: "Degraded", Status: sdk.True, Reason: "ProgressDeadlineExceeded", Message: "timed out"},
				},
			},
		},
		"pods that may not be made": {
			view:     two,
			children: []any{observed(t, two, DeploymentStatus{ObservedGeneration: 1, Conditions: []sdk.Condition{down, refused}})},
			want: Status{
				Phase: PhaseDegraded,
				Conditions: []sdk.Condition{
					missing("0 of 2 replicas are available"),
					{Type: "Degraded", Status: sdk.True, Reason: "FailedCreate", Message: "quota exceeded"},
				},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: tc.view, Children: tc.children, Owns: owns})
			if diff := cmp.Diff(tc.want, sdktest.Status[Status](t, got)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if len(got.Children) != 3 {
				t.Errorf("want all three children every time, got %v", sdktest.Names(got))
			}
		})
	}
}

// An invalid spec must not take down what serves the last good one.
func TestInvalidSpec(t *testing.T) {
	cases := map[string]struct {
		view    MarkdownView
		problem string
	}{
		"no table of contents": {
			view:    book("a", func(s *Spec) { delete(s.Markdowns, "SUMMARY.md") }),
			problem: "spec.markdowns must have a SUMMARY.md",
		},
		"no text at all": {
			view:    book("a", func(s *Spec) { s.Markdowns = nil }),
			problem: "spec.markdowns must have a SUMMARY.md",
		},
		"negative replicas": {
			view:    book("a", func(s *Spec) { s.Replicas = new(int32(-1)) }),
			problem: "spec.replicas must not be negative",
		},
		"more than a ConfigMap holds": {
			view:    book("a", func(s *Spec) { s.Markdowns = map[string]string{"SUMMARY.md": strings.Repeat("x", maxSize)} }),
			problem: "spec.markdowns has 1048586 bytes, and a ConfigMap holds 1048576",
		},
	}
	serving := observed(t, book("a"), DeploymentStatus{
		ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1,
		Conditions: []sdk.Condition{{Type: "Available", Status: sdk.True}},
	})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tc.view, Children: []any{serving}, Owns: owns})
			status := sdktest.Status[Status](t, got)
			wantDegraded := &sdk.Condition{Type: "Degraded", Status: sdk.True, Reason: "InvalidSpec", Message: tc.problem}
			if diff := cmp.Diff(wantDegraded, sdk.FindCondition(status.Conditions, "Degraded")); diff != "" {
				t.Errorf("Degraded (-want +got):\n%s", diff)
			}
			if status.Phase != PhaseDegraded || !sdk.ConditionIs(status.Conditions, "Available", sdk.True) {
				t.Errorf("want the phase Degraded, and the old text Available, got %+v", status)
			}
			wantEvents := []abi.Event{{Type: abi.EventWarning, Reason: "InvalidSpec", Message: tc.problem}}
			if diff := cmp.Diff(wantEvents, got.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if got.Children != nil {
				t.Errorf("want no opinion on the children, got %v", sdktest.Names(got))
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
