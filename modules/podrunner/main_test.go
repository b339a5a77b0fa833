package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// pod returns a Pod with these members besides its name.
func pod(members string) sdktest.Request {
	return sdktest.Request{Object: json.RawMessage(
		`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, ` + members + `}`)}
}

func TestRuns(t *testing.T) {
	running := State{Running: &Running{}}
	app := ContainerStatus{Name: "app", Image: "app:1", Ready: true, Started: true, State: running}
	ready := []Condition{
		{Type: "PodScheduled", Status: sdk.True},
		{Type: "Initialized", Status: sdk.True},
		{Type: "ContainersReady", Status: sdk.True},
		{Type: "Ready", Status: sdk.True},
	}
	notReady := append(append([]Condition(nil), ready[:3]...), Condition{
		Type: "Ready", Status: sdk.False, Reason: "ReadinessGatesNotReady", Message: "readiness gate example.com/lb is not True",
	})
	cases := map[string]struct {
		request sdktest.Request
		want    Status
	}{
		"a pending pod": {
			request: pod(`"spec": {"containers": [{"name": "app", "image": "app:1"}]}, "status": {"phase": "Pending"}`),
			want:    Status{Phase: "Running", Conditions: ready, ContainerStatuses: []ContainerStatus{app}},
		},
		"init containers are done, sidecars run": {
			request: pod(`"spec": {"containers": [{"name": "app", "image": "app:1"}], "initContainers": [
				{"name": "setup", "image": "setup:1"}, {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]}`),
			want: Status{
				Phase: "Running", Conditions: ready,
				InitContainerStatuses: []ContainerStatus{
					{Name: "setup", Image: "setup:1", Ready: true, State: State{Terminated: &Terminated{Reason: "Completed"}}},
					{Name: "proxy", Image: "proxy:1", Ready: true, Started: true, State: running},
				},
				ContainerStatuses: []ContainerStatus{app},
			},
		},
		"a closed readiness gate keeps it from being ready": {
			request: pod(`"spec": {"containers": [{"name": "app", "image": "app:1"}], "readinessGates": [{"conditionType": "example.com/lb"}]}`),
			want:    Status{Phase: "Running", Conditions: notReady, ContainerStatuses: []ContainerStatus{app}},
		},
		"an open readiness gate": {
			request: pod(`"spec": {"containers": [{"name": "app", "image": "app:1"}], "readinessGates": [{"conditionType": "Initialized"}]},
				"status": {"conditions": [{"type": "Initialized", "status": "True"}]}`),
			want: Status{Phase: "Running", Conditions: ready, ContainerStatuses: []ContainerStatus{app}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), tc.request)
			if diff := cmp.Diff(tc.want, sdktest.Status[Status](t, got)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if got.Children != nil {
				t.Errorf("a pod runner has an opinion on children: %v", got.Children)
			}
		})
	}
}

// What ends is not run again: the next call leaves it alone.
func TestEnds(t *testing.T) {
	completed := []Condition{
		{Type: "PodScheduled", Status: sdk.True},
		{Type: "Initialized", Status: sdk.True},
		{Type: "ContainersReady", Status: sdk.False, Reason: "PodCompleted"},
		{Type: "Ready", Status: sdk.False, Reason: "PodCompleted"},
	}
	cases := map[string]struct {
		code  string
		phase string
		state Terminated
	}{
		"well":  {"0", "Succeeded", Terminated{Reason: "Completed"}},
		"badly": {"3", "Failed", Terminated{ExitCode: 3, Reason: "Error"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := sdktest.Request{Object: json.RawMessage(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default",
				"annotations": {"podrunner.example.com/exit-code": "` + tc.code + `"}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}`)}
			want := Status{Phase: tc.phase, Conditions: completed, ContainerStatuses: []ContainerStatus{
				{Name: "app", Image: "app:1", State: State{Terminated: &tc.state}},
			}}
			if diff := cmp.Diff(want, sdktest.Status[Status](t, sdktest.Reconcile(t, sdk.Registered(), request))); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if rest := sdktest.Settle(t, sdk.Registered(), request); rest.Status != nil {
				t.Errorf("a Pod that has ended is written again: %s", rest.Raw)
			}
		})
	}
}

func TestLeavesAlone(t *testing.T) {
	cases := map[string]sdktest.Request{
		"a pod that succeeded":  pod(`"spec": {"containers": []}, "status": {"phase": "Succeeded"}`),
		"a pod that failed":     pod(`"spec": {"containers": []}, "status": {"phase": "Failed"}`),
		"a pod of a kubelet":    pod(`"spec": {"nodeName": "node-1", "containers": [{"name": "app"}]}`),
		"a gated pod":           pod(`"spec": {"schedulingGates": [{"name": "example.com/quota"}], "containers": [{"name": "app"}]}`),
		"a pod that is deleted": {Object: json.RawMessage(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}`)},
	}
	for name, request := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Reconcile(t, sdk.Registered(), request)
			if diff := cmp.Diff(abi.Response{}, got.Response); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}
