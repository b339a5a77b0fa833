// Command podrunner is a Wasmloop module that stands in for a kubelet in a cluster without nodes: it says that each Pod
// is running and ready, or has ended as it is told to.
package main

import (
	"slices"
	"strconv"

	"github.com/wasmloop/wasmloop/sdk"
)

func init() { sdk.Register(reconcile) }

func main() { sdk.Main() }

// reconcile returns the status of a Pod whose containers all run. It depends on the Pod's spec, and on nothing that it
// says itself, so that the next call says the same.
func reconcile(req *sdk.Request[Pod]) (*sdk.Response, error) {
	if req.DeletionTimestamp != nil || !req.Object.runnable() {
		return nil, nil
	}
	if code, ends := req.Object.exitCode(); ends {
		return &sdk.Response{Status: ended(req.Object, code)}, nil
	}
	return &sdk.Response{Status: running(req.Object)}, nil
}

// runnable tells whether the Pod is one to run: not finished, not held back by a scheduling gate, and not bound to a
// node, whose kubelet would know better.
func (p Pod) runnable() bool {
	finished := p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed"
	return !finished && len(p.Spec.SchedulingGates) == 0 && p.Spec.NodeName == ""
}

func running(pod Pod) Status {
	status := Status{
		Phase:             "Running",
		ContainerStatuses: make([]ContainerStatus, len(pod.Spec.Containers)),
		Conditions:        conditions(pod),
	}
	for i, container := range pod.Spec.Containers {
		status.ContainerStatuses[i] = container.runs()
	}
	for _, container := range pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, container.initialized())
	}
	return status
}

// exitAnnotation says of a Pod that its containers end, and with which exit code. There is nothing else that could: what would
// run in them is not run.
const exitAnnotation = "podrunner.example.com/exit-code"

// exitCode returns the exit code of the Pod's containers, and whether they end at all.
func (p Pod) exitCode() (code int32, ends bool) {
	number, err := strconv.ParseInt(p.Metadata.Annotations[exitAnnotation], 10, 32)
	return int32(number), err == nil
}

// ended returns the status of a Pod whose containers have all ended with an exit code.
func ended(pod Pod, code int32) Status {
	status := running(pod)
	state := State{Terminated: &Terminated{ExitCode: code, Reason: "Completed"}}
	status.Phase = "Succeeded"
	if code != 0 {
		status.Phase, state.Terminated.Reason = "Failed", "Error"
	}
	for i := range status.ContainerStatuses {
		status.ContainerStatuses[i].Ready, status.ContainerStatuses[i].Started = false, false
		status.ContainerStatuses[i].State = state
	}
	for i, condition := range status.Conditions {
		if condition.Type == "Ready" || condition.Type == "ContainersReady" {
			status.Conditions[i] = Condition{Type: condition.Type, Status: sdk.False, Reason: "PodCompleted"}
		}
	}
	return status
}

// conditions returns those that a kubelet and a scheduler would set. Their times are left to the host.
func conditions(pod Pod) []Condition {
	list := []Condition{
		{Type: "PodScheduled", Status: sdk.True},
		{Type: "Initialized", Status: sdk.True},
		{Type: "ContainersReady", Status: sdk.True},
	}
	ready := Condition{Type: "Ready", Status: sdk.True}
	if gate := pod.closedGate(); gate != "" {
		ready = Condition{
			Type: "Ready", Status: sdk.False, Reason: "ReadinessGatesNotReady", Message: "readiness gate " + gate + " is not True",
		}
	}
	return append(list, ready)
}

// closedGate returns the first readiness gate whose condition nobody has set to True, or "".
func (p Pod) closedGate() string {
	i := slices.IndexFunc(p.Spec.ReadinessGates, func(gate ReadinessGate) bool {
		return !sdk.ConditionIs(p.Status.Conditions, gate.ConditionType, sdk.True)
	})
	if i < 0 {
		return ""
	}
	return p.Spec.ReadinessGates[i].ConditionType
}

// runs returns the status of a container that runs.
func (c Container) runs() ContainerStatus {
	return ContainerStatus{Name: c.Name, Image: c.Image, Ready: true, Started: true, State: State{Running: &Running{}}}
}

// initialized returns the status of an init container that has done its work, or of a sidecar that runs.
func (c Container) initialized() ContainerStatus {
	if c.RestartPolicy == "Always" {
		return c.runs()
	}
	return ContainerStatus{Name: c.Name, Image: c.Image, Ready: true, State: State{Terminated: &Terminated{Reason: "Completed"}}}
}
