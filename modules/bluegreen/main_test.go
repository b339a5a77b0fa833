package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "apps/v1", Kind: "ReplicaSet"}, {APIVersion: "v1", Kind: "Service"}}

// shop returns a BlueGreenDeployment with two replicas of an image.
func shop(image string, change ...func(*BlueGreenDeployment)) BlueGreenDeployment {
	deployment := BlueGreenDeployment{Object: sdk.NewObject("apps.example.com/v1", "BlueGreenDeployment", "shop")}
	deployment.Metadata.Namespace = "default"
	deployment.Spec = Spec{
		Replicas: new(int32(2)),
		Ports:    []ServicePort{{Port: 80, TargetPort: 8080, Protocol: "TCP"}},
		Template: PodTemplate{
			Metadata: TemplateMeta{Labels: map[string]string{"team": "sales"}},
			Spec:     map[string]any{"containers": []any{map[string]any{"name": "web", "image": image}}},
		},
	}
	for _, c := range change {
		c(&deployment)
	}
	return deployment
}

// set returns the observed ReplicaSet of a colour as the module made it for a deployment, with this many replicas wanted and
// this many Pods, all of them ready.
func set(color Color, deployment BlueGreenDeployment, replicas, pods int32) map[string]any {
	made := replicaSet(deployment, color)
	made.Spec.Replicas = replicas
	made.Metadata.Namespace = "default"
	encoded, _ := json.Marshal(made) // it is made of strings and numbers
	var observed map[string]any
	_ = json.Unmarshal(encoded, &observed)
	observed["metadata"].(map[string]any)["generation"] = 1
	observed["status"] = ReplicaSetStatus{ObservedGeneration: 1, Replicas: pods, ReadyReplicas: pods}
	return observed
}

// with changes the status of an observed ReplicaSet.
func with(set map[string]any, status ReplicaSetStatus) map[string]any {
	set["status"] = status
	return set
}

// leadingTo returns the observed Service.
func leadingTo(color Color) any {
	observed := service(shop("any"), color)
	observed.Metadata.Namespace = "default"
	return observed
}

// sizes returns how many replicas of which image each desired ReplicaSet has.
func sizes(t *testing.T, got *sdktest.Response) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, child := range got.Children {
		if ref := child.Reference(); ref.Kind == "ReplicaSet" {
			desired := sdktest.Child[ReplicaSet](t, got, ref.Kind, ref.Name)
			container := desired.Spec.Template.Spec["containers"].([]any)[0].(map[string]any)
			found[ref.Name] = fmt.Sprintf("%d of %s", desired.Spec.Replicas, container["image"])
		}
	}
	return found
}

func TestSteps(t *testing.T) {
	v1, v2, v3 := shop("v1"), shop("v2"), shop("v3")
	notReady := ReplicaSetStatus{ObservedGeneration: 1, Replicas: 2, ReadyReplicas: 1}
	three := func(d *BlueGreenDeployment) { d.Spec.Replicas = new(int32(3)) }
	cases := map[string]struct {
		deployment BlueGreenDeployment
		children   []any
		wantSets   map[string]string
		wantColor  Color
		progress   string
	}{
		"a new one begins with blue": {
			deployment: v1,
			wantSets:   map[string]string{"shop-blue": "2 of v1"}, wantColor: Blue, progress: complete,
		},
		"nothing to change": {
			deployment: v1,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "2 of v1"}, wantColor: Blue, progress: complete,
		},
		"another number of replicas needs no other colour": {
			deployment: shop("v1", three),
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "3 of v1"}, wantColor: Blue, progress: complete,
		},
		"a new template goes to the other colour": {
			deployment: v2,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v2"}, wantColor: Blue, progress: bringingUp,
		},
		"no switch before all are ready": {
			deployment: v2,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), with(set(Green, v2, 2, 2), notReady)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v2"}, wantColor: Blue, progress: bringingUp,
		},
		"no switch on a status from before the last change": {
			deployment: v2,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), with(set(Green, v2, 2, 2), ReplicaSetStatus{Replicas: 2, ReadyReplicas: 2})},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v2"}, wantColor: Blue, progress: bringingUp,
		},
		"a new number of replicas in between goes to both": {
			deployment: shop("v2", three),
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "3 of v1", "shop-green": "3 of v2"}, wantColor: Blue, progress: bringingUp,
		},
		"the Service turns, and the old Pods stay until it has": {
			deployment: v2,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v2"}, wantColor: Green, progress: switching,
		},
		"then the old Pods go": {
			deployment: v2,
			children:   []any{leadingTo(Green), set(Blue, v1, 2, 2), set(Green, v2, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "0 of v1", "shop-green": "2 of v2"}, wantColor: Green, progress: complete,
		},
		"back to the old template is a change like any other": {
			deployment: v1,
			children:   []any{leadingTo(Green), set(Blue, v1, 0, 0), set(Green, v2, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v2"}, wantColor: Green, progress: bringingUp,
		},
		"a change that is taken back before the switch": {
			deployment: v1,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 2, 1)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "0 of v2"}, wantColor: Blue, progress: complete,
		},
		"Pods of a template in between are drained": {
			deployment: v3,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 2, 2)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "0 of v2"}, wantColor: Blue, progress: draining,
		},
		"and the last of them is waited for": {
			deployment: v3,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 0, 1)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "0 of v2"}, wantColor: Blue, progress: draining,
		},
		"before the newest template comes up": {
			deployment: v3,
			children:   []any{leadingTo(Blue), set(Blue, v1, 2, 2), set(Green, v2, 0, 0)},
			wantSets:   map[string]string{"shop-blue": "2 of v1", "shop-green": "2 of v3"}, wantColor: Blue, progress: bringingUp,
		},
		"an active ReplicaSet that somebody has deleted comes back with the newest template": {
			deployment: v2,
			children:   []any{leadingTo(Blue), set(Green, v1, 0, 0)},
			wantSets:   map[string]string{"shop-blue": "2 of v2", "shop-green": "0 of v1"}, wantColor: Blue, progress: complete,
		},
		"a Service that somebody has deleted leads where the status says": {
			deployment: shop("v1", func(d *BlueGreenDeployment) { d.Status.ActiveColor = Green }),
			children:   []any{set(Green, v1, 2, 2), set(Blue, v2, 0, 0)},
			wantSets:   map[string]string{"shop-blue": "0 of v2", "shop-green": "2 of v1"}, wantColor: Green, progress: complete,
		},
		"no replicas at all": {
			deployment: shop("v2", func(d *BlueGreenDeployment) { d.Spec.Replicas = new(int32(0)) }),
			children:   []any{leadingTo(Blue), set(Blue, v1, 0, 0), set(Green, v2, 0, 0)},
			wantSets:   map[string]string{"shop-blue": "0 of v1", "shop-green": "0 of v2"}, wantColor: Green, progress: switching,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: tc.deployment, Children: tc.children, Owns: owns})
			if diff := cmp.Diff(tc.wantSets, sizes(t, got)); diff != "" {
				t.Errorf("ReplicaSets (-want +got):\n%s", diff)
			}
			if color := sdktest.Child[Service](t, got, "Service", "shop").Spec.Selector[colorLabel]; color != string(tc.wantColor) {
				t.Errorf("the Service leads to %s, want %s", color, tc.wantColor)
			}
			progressing := sdk.FindCondition(sdktest.Status[Status](t, got).Conditions, "Progressing")
			if progressing == nil || progressing.Reason != tc.progress || progressing.Status != sdk.StatusOf(tc.progress != complete) {
				t.Errorf("want progress %s, got %+v", tc.progress, progressing)
			}
			if switched := len(got.Events) > 0; switched != (tc.progress == switching) {
				t.Errorf("events: %v", got.Events)
			}
			// Between two steps it is at rest: only what others do leads on.
			sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tc.deployment, Children: tc.children, Owns: owns})
		})
	}
}

func TestChildren(t *testing.T) {
	got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: shop("v1"), Owns: owns})
	if diff := cmp.Diff([]string{"Service shop", "ReplicaSet shop-blue"}, sdktest.Names(got)); diff != "" {
		t.Fatalf("children (-want +got):\n%s", diff)
	}
	selected := map[string]string{
		"app.kubernetes.io/name": "bluegreen", "app.kubernetes.io/instance": "shop", "apps.example.com/color": "blue",
	}
	blue := sdktest.Child[ReplicaSet](t, got, "ReplicaSet", "shop-blue")
	if diff := cmp.Diff(selected, blue.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector of the ReplicaSet (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(selected, sdktest.Child[Service](t, got, "Service", "shop").Spec.Selector); diff != "" {
		t.Errorf("selector of the Service (-want +got):\n%s", diff)
	}
	onPods := sdk.MergeLabels(selected, map[string]string{"team": "sales"})
	if diff := cmp.Diff(onPods, blue.Spec.Template.Metadata.Labels); diff != "" {
		t.Errorf("labels of the Pods (-want +got):\n%s", diff)
	}
}

func TestStatus(t *testing.T) {
	v1, v2 := shop("v1"), shop("v2")
	cases := map[string]struct {
		deployment BlueGreenDeployment
		children   []any
		want       Status
	}{
		"nothing is there yet": {
			deployment: v1,
			want: Status{ActiveColor: Blue, Conditions: []sdk.Condition{
				{Type: "Available", Status: sdk.False, Reason: "NoPodReady", Message: "0 of 2 replicas of blue are ready"},
				{Type: "Progressing", Status: sdk.False, Reason: complete},
			}},
		},
		"a change is on its way": {
			deployment: v2,
			children: []any{
				leadingTo(Blue), set(Blue, v1, 2, 2),
				with(set(Green, v2, 2, 2), ReplicaSetStatus{ObservedGeneration: 1, Replicas: 2, ReadyReplicas: 1}),
			},
			want: Status{ActiveColor: Blue, ReadyReplicas: 2, Conditions: []sdk.Condition{
				{Type: "Available", Status: sdk.True, Reason: "PodsReady", Message: "2 of 2 replicas of blue are ready"},
				{Type: "Progressing", Status: sdk.True, Reason: bringingUp, Message: "1 of 2 replicas of green are ready"},
			}},
		},
		"the change is done": {
			deployment: v2,
			children:   []any{leadingTo(Green), set(Blue, v1, 0, 0), set(Green, v2, 2, 2)},
			want: Status{ActiveColor: Green, ReadyReplicas: 2, Conditions: []sdk.Condition{
				{Type: "Available", Status: sdk.True, Reason: "PodsReady", Message: "2 of 2 replicas of green are ready"},
				{Type: "Progressing", Status: sdk.False, Reason: complete},
			}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tc.deployment, Children: tc.children, Owns: owns})
			if diff := cmp.Diff(tc.want, sdktest.Status[Status](t, got)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
