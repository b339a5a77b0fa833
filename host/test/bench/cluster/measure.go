package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
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
	contender contender
	objects   int
	cluster   *localcluster.Cluster
	client    dynamic.Interface
	audit     *auditLog
	process   *process
	figures   figures
}

func measure(ctx context.Context, c contender, objects int) (f figures, err error) {
	dir, err := os.MkdirTemp("", "wasmloop-bench-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{contender: c, objects: objects, audit: &auditLog{path: filepath.Join(dir, "audit.log"), agent: c.agent}}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return f, err
	}
	b.cluster, err = localcluster.Start(ctx, localcluster.Options{
		CRDs:                     []string{"config/crd"},
		WithoutControllerManager: true,
		APIServerFlags: map[string]string{
			"audit-log-path": b.audit.path, "audit-policy-file": policy, "audit-log-mode": "blocking",
			"service-cluster-ip-range": "10.0.0.0/16", // the usual /24 has no room for so many Services
		},
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, b.cluster.Stop()) }()
	config := rest.CopyConfig(b.cluster.Config())
	config.QPS, config.UserAgent = -1, "bench"
	if b.client, err = dynamic.NewForConfig(config); err != nil {
		return f, err
	}
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
	return b.process.stop()
}

func (b *bench) launch() (err error) {
	b.process, err = b.contender.start(b.cluster.KubeconfigPath())
	return err
}

func (b *bench) start(ctx context.Context) error {
	if err := b.launch(); err != nil {
		return err
	}
	if err := b.process.reconciled(ctx, 0); err != nil {
		return err
	}
	time.Sleep(settle)
	memory, err := b.process.memory()
	b.figures.memoryEmpty = float64(memory)
	return err
}

// create creates all objects and waits until each has the status of its generation.
func (b *bench) create(ctx context.Context) error {
	watch, err := b.client.Resource(views).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watch.Stop()
	cpu, err := b.process.cpu()
	if err != nil {
		return err
	}
	servers, err := serversCPU()
	if err != nil {
		return err
	}
	b.audit.mark()
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
	serversAfter, err := serversCPU()
	if err != nil {
		return err
	}
	b.figures.serversCPU = serversAfter - servers
	time.Sleep(settle)
	after, err := b.process.cpu()
	if err != nil {
		return err
	}
	b.figures.createCPU = after - cpu
	memory, err := b.process.memory()
	if err != nil {
		return err
	}
	b.figures.memory = float64(memory)
	b.figures.memoryPerObject = (b.figures.memory - b.figures.memoryEmpty) / float64(b.objects)
	calls, err := b.process.counter(ctx, `wasmloop_module_calls_total{controller="bench"`)
	if err != nil {
		return err
	}
	b.figures.calls = calls / float64(b.objects)
	byVerb, err := b.audit.count()
	b.figures.createWrites, b.figures.createReads = writes(byVerb)/float64(b.objects), byVerb["get"]/float64(b.objects)
	b.figures.creates, b.figures.updates = byVerb["create"]/float64(b.objects), byVerb["update"]/float64(b.objects)
	b.figures.patches = byVerb["patch"] / float64(b.objects)
	return errors.Join(err, b.idle())
}

// idle measures what the process uses while nothing happens.
func (b *bench) idle() error {
	before, err := b.process.cpu()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	after, err := b.process.cpu()
	b.figures.idleCPU = time.Duration(float64(after-before) / settle.Seconds())
	return err
}

func (b *bench) createAll(ctx context.Context) {
	const creators = 4
	next := make(chan int)
	for range creators {
		go func() {
			for i := range next {
				if _, err := b.client.Resource(views).Namespace(namespace).Create(ctx, view(i), metav1.CreateOptions{}); err != nil {
					fmt.Fprintln(os.Stderr, "✗ cannot create an object:", err)
				}
			}
		}()
	}
	for i := range b.objects {
		next <- i
	}
	close(next)
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
	if err := b.process.stop(); err != nil {
		return err
	}
	b.audit.mark()
	if err := b.launch(); err != nil {
		return err
	}
	if err := b.process.reconciled(ctx, b.objects); err != nil {
		return err
	}
	b.figures.restart = time.Since(b.process.started)
	cpu, err := b.process.cpu()
	if err != nil {
		return err
	}
	b.figures.restartCPU = cpu
	time.Sleep(settle)
	memory, err := b.process.memory()
	if err != nil {
		return err
	}
	b.figures.memoryAfterStart = float64(memory)
	byVerb, err := b.audit.count()
	b.figures.restartWrites = writes(byVerb)
	return err
}

// catchUp changes a tenth of the objects while the controller is down, and measures until it has followed.
func (b *bench) catchUp(ctx context.Context) error {
	if err := b.process.stop(); err != nil {
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
			view, err := b.client.Resource(views).Namespace(namespace).Get(ctx, name(i), metav1.GetOptions{})
			return err == nil && upToDate(view), err
		}); err != nil {
			return err
		}
	}
	b.figures.catchUp = time.Since(b.process.started)
	return nil
}
