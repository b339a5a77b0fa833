package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// measureChanges measures changes of Pods' status, which the module does not see.
func (b *bench) measureChanges(ctx context.Context, plane *contest.Plane) (rows []row, err error) {
	say("%d changes of a status that no module sees", b.changes)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := b.createPods(ctx, plane); err != nil {
		return nil, err
	}
	host, err := b.host(plane, "changes", unseen)
	if err != nil {
		return nil, err
	}
	process, err := plane.Launch(host)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := process.Reconciled(ctx, b.pods); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	idle, _, err := using(ctx, process, func() error { time.Sleep(settle); return nil })
	if err != nil {
		return nil, err
	}
	audit := plane.Audit(host)
	audit.Mark()
	used, took, err := using(ctx, process, func() error {
		err := contest.Each(b.changes, func(i int) error { return b.changeStatus(ctx, plane, i) })
		time.Sleep(quiet) // for the last of them to arrive
		return err
	})
	if err != nil {
		return nil, err
	}
	requests, err := audit.Count()
	if err != nil {
		return nil, err
	}
	if err := b.sees(ctx, plane, process); err != nil {
		return nil, err
	}
	cpu := used.cpu - time.Duration(float64(idle.cpu)*took.Seconds()/settle.Seconds())
	return []row{
		{name: fmt.Sprintf("%d changes of an ignored status: module calls", b.changes), figure: used.calls, target: atMost(0)},
		{name: "ignored status: API calls", figure: requests.All(), target: atMost(0)},
		{name: "ignored status: reconciles that call nothing", figure: used.reconciles},
		{name: "ignored status: CPU of a change", figure: float64(cpu) / float64(time.Microsecond) / float64(b.changes), unit: "µs"},
	}, nil
}

// using returns what a process uses while do runs.
func using(ctx context.Context, process *contest.Process, do func() error) (used usage, took time.Duration, err error) {
	before, err := usageOf(ctx, process)
	if err != nil {
		return used, 0, err
	}
	begin := time.Now()
	if err := do(); err != nil {
		return used, 0, err
	}
	took = time.Since(begin)
	after, err := usageOf(ctx, process)
	return after.minus(before), took, err
}

// sees makes sure that the host does watch the Pods: it changes what the module sees.
func (b *bench) sees(ctx context.Context, plane *contest.Plane, process *contest.Process) error {
	calls, err := process.Calls(ctx)
	if err != nil {
		return err
	}
	patch := []byte(`{"metadata":{"labels":{"seen":"yes"}}}`)
	if _, err := plane.Client.Resource(pods).Namespace(namespace).Patch(ctx, podName(0), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	return process.Called(ctx, calls+1)
}

func podName(i int) string { return fmt.Sprintf("pod-%04d", i) }

func (b *bench) changeStatus(ctx context.Context, plane *contest.Plane, i int) error {
	patch := fmt.Appendf(nil, `{"status":{"phase":"Running","message":"change %d","conditions":[{"type":"Ready","status":"True","message":"change %d"}]}}`, i, i)
	_, err := plane.Client.Resource(pods).Namespace(namespace).Patch(ctx, podName(i%b.pods), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

func (b *bench) createPods(ctx context.Context, plane *contest.Plane) error {
	account := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default"}, // else made by kube-controller-manager
	}}
	if _, err := plane.Client.Resource(accounts).Namespace(namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	return contest.Each(b.pods, func(i int) error {
		pod := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": podName(i), "labels": map[string]any{"app": "bench"}},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "main", "image": "example.com/main:1"}}},
		}}
		_, err := plane.Client.Resource(pods).Namespace(namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
}
