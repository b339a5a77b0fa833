package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

const (
	namespace = "default"
	// samples is how many children are repaired and how many spec changes are followed, one after the other.
	samples = 100
	// patience bounds each phase.
	patience = 5 * time.Minute
	// settle is how long a process is left alone before its memory is read.
	settle = 5 * time.Second
)

var (
	views      = schema.GroupVersionResource{Group: "view.example.com", Version: "v1", Resource: "markdownviews"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// figures are what was measured of a contender in one round.
type figures struct {
	create           time.Duration // from the first object's creation until all have their status
	createCPU        time.Duration
	serversCPU       time.Duration // of the control plane meanwhile
	createWrites     float64       // per object
	createReads      float64       // per object, without lists and watches
	creates          float64       // of the writes, per object
	updates          float64
	patches          float64
	idleCPU          time.Duration // in a second in which nothing happens
	restart          time.Duration
	restartCPU       time.Duration
	restartWrites    float64       // in all
	catchUp          time.Duration // restart with a tenth of the objects changed
	repair50         time.Duration
	repair99         time.Duration
	follow50         time.Duration
	follow99         time.Duration
	memoryEmpty      float64 // bytes at rest, without objects
	memory           float64 // bytes at rest, with all objects
	memoryPerObject  float64
	memoryAfterStart float64
	calls            float64 // of the module, per object
}

// bench is one round of one contender.
type bench struct {
	*contest.Plane
	contender contest.Contender
	objects   int
	audit     *contest.AuditLog
	process   *contest.Process
	figures   figures
}

func measure(ctx context.Context, c contest.Contender, objects int) (f figures, err error) {
	plane, err := contest.StartPlane(ctx)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	b := &bench{Plane: plane, contender: c, objects: objects, audit: plane.Audit(c)}
	err = b.run(ctx)
	return b.figures, err
}

func (b *bench) run(ctx context.Context) error {
	phases := []struct {
		name string
		run  func(context.Context) error
	}{
		{"start", b.start},
		{"create", b.create},
		{"repair", b.repair},
		{"follow", b.follow},
		{"restart", b.restart},
		{"catch up", b.catchUp},
	}
	for _, phase := range phases {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := phase.run(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return b.process.Stop()
}

func (b *bench) launch() (err error) {
	b.process, err = b.Launch(b.contender)
	return err
}

func (b *bench) start(ctx context.Context) error {
	if err := b.launch(); err != nil {
		return err
	}
	if err := b.process.Reconciled(ctx, 0); err != nil {
		return err
	}
	time.Sleep(settle)
	memory, err := b.process.Memory()
	b.figures.memoryEmpty = float64(memory)
	return err
}

// create creates all objects and waits until each has the status of its generation.
func (b *bench) create(ctx context.Context) error {
	watch, err := b.Client.Resource(views).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watch.Stop()
	cpu, err := b.process.CPU()
	if err != nil {
		return err
	}
	servers, err := contest.ServersCPU()
	if err != nil {
		return err
	}
	b.audit.Mark()
	begin := time.Now()
	go b.createAll(ctx)
	for done := map[string]bool{}; len(done) < b.objects; {
		select {
		case event := <-watch.ResultChan():
			if view, ok := event.Object.(*unstructured.Unstructured); ok && upToDate(view) {
				done[view.GetName()] = true
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d objects have a status: %w", len(done), b.objects, ctx.Err())
		}
	}
	b.figures.create = time.Since(begin)
	serversAfter, err := contest.ServersCPU()
	if err != nil {
		return err
	}
	b.figures.serversCPU = serversAfter - servers
	time.Sleep(settle)
	after, err := b.process.CPU()
	if err != nil {
		return err
	}
	b.figures.createCPU = after - cpu
	memory, err := b.process.Memory()
	if err != nil {
		return err
	}
	b.figures.memory = float64(memory)
	b.figures.memoryPerObject = (b.figures.memory - b.figures.memoryEmpty) / float64(b.objects)
	calls, err := b.process.Calls(ctx)
	if err != nil {
		return err
	}
	b.figures.calls = calls / float64(b.objects)
	byVerb, err := b.audit.Count()
	b.figures.createWrites, b.figures.createReads = byVerb.Writes()/float64(b.objects), byVerb["get"]/float64(b.objects)
	b.figures.creates, b.figures.updates = byVerb["create"]/float64(b.objects), byVerb["update"]/float64(b.objects)
	b.figures.patches = byVerb["patch"] / float64(b.objects)
	return errors.Join(err, b.idle())
}

// idle measures what the process uses while nothing happens.
func (b *bench) idle() error {
	before, err := b.process.CPU()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	after, err := b.process.CPU()
	b.figures.idleCPU = time.Duration(float64(after-before) / settle.Seconds())
	return err
}

func (b *bench) createAll(ctx context.Context) {
	err := contest.Each(b.objects, func(i int) error {
		_, err := b.Client.Resource(views).Namespace(namespace).Create(ctx, view(i), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "✗ cannot create an object:", err)
	}
}

func name(i int) string { return fmt.Sprintf("view-%04d", i) }

func view(i int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "view.example.com/v1", "kind": "MarkdownView", "metadata": map[string]any{"name": name(i)},
		"spec": map[string]any{"replicas": int64(1), "markdowns": map[string]any{
			"SUMMARY.md": "- [Page](page.md)", "page.md": fmt.Sprintf("# Page\n\nThis is page %d.\n", i),
		}},
	}}
}

func upToDate(view *unstructured.Unstructured) bool {
	observed, _, _ := unstructured.NestedInt64(view.Object, "status", "observedGeneration")
	return observed == view.GetGeneration()
}

// restart stops the controller and measures a new one over the same, converged objects.
func (b *bench) restart(ctx context.Context) error {
	if err := b.process.Stop(); err != nil {
		return err
	}
	b.audit.Mark()
	if err := b.launch(); err != nil {
		return err
	}
	if err := b.process.Reconciled(ctx, b.objects); err != nil {
		return err
	}
	b.figures.restart = time.Since(b.process.Started)
	cpu, err := b.process.CPU()
	if err != nil {
		return err
	}
	b.figures.restartCPU = cpu
	time.Sleep(settle)
	memory, err := b.process.Memory()
	if err != nil {
		return err
	}
	b.figures.memoryAfterStart = float64(memory)
	byVerb, err := b.audit.Count()
	b.figures.restartWrites = byVerb.Writes()
	return err
}

// catchUp changes a tenth of the objects while the controller is down, and measures until it has followed.
func (b *bench) catchUp(ctx context.Context) error {
	if err := b.process.Stop(); err != nil {
		return err
	}
	changed := b.objects / 10
	for i := range changed {
		if err := b.patchView(ctx, i, "changed while the controller is down"); err != nil {
			return err
		}
	}
	if err := b.launch(); err != nil {
		return err
	}
	for i := range changed {
		if err := b.until(ctx, func() (bool, error) {
			view, err := b.Client.Resource(views).Namespace(namespace).Get(ctx, name(i), metav1.GetOptions{})
			return err == nil && upToDate(view), err
		}); err != nil {
			return err
		}
	}
	b.figures.catchUp = time.Since(b.process.Started)
	return nil
}
