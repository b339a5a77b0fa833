package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// memory is what the same objects take in several programs.
type memory struct {
	objects int
	// compact is the size of an object as JSON without managedFields and resourceVersion, full with them.
	compact, full int
	watchers      []*watcher
}

// watcher is a program that watches the objects, and its memory.
type watcher struct {
	contest.Contender
	// reconciles is true if it reconciles the objects; else it does so with a single other one.
	reconciles bool
	// target is what a part of the compact JSON an object should take, if it should be anything.
	target *contest.Target
	why    string

	process *contest.Process
	// empty is without objects, atRest with all; both some time after all was reconciled.
	empty, atRest taken
}

// taken is memory in bytes: what is resident, and of it what Go's heap has in objects.
type taken struct{ resident, heap float64 }

func (t taken) minus(u taken) taken { return taken{t.resident - u.resident, t.heap - u.heap} }

func (t taken) over(objects int) taken {
	return taken{t.resident / float64(objects), t.heap / float64(objects)}
}

// Why targets are missed that are.
const whyCached = "beside its JSON an object takes 250 bytes for the fields that the host reads, 130 for their texts, 115 in the index"

func (b *bench) watchers(plane *contest.Plane) ([]*watcher, error) {
	native := contest.Contender{Name: "native, unstructured", Agent: "unstructured", Path: filepath.Join(b.bin, "unstructured")}
	givingBack := native
	givingBack.Name, givingBack.Args = "native, giving memory back", []string{"--give-back"}
	watchers := []*watcher{{Contender: native, reconciles: true}, {Contender: givingBack, reconciles: true}}
	for _, h := range []struct {
		name, config string
		reconciles   bool
		target       *contest.Target
		why          string
	}{
		{"wasmloop, as children", cached, false, atMost(2), whyCached},
		{"wasmloop, reconciled", reconciled, true, nil, ""},
		{"wasmloop, fields: [metadata.labels]", labelled, true, nil, ""},
		{"wasmloop, metadataOnly: true", metadata, true, nil, ""},
	} {
		c, err := b.host(plane, h.name, h.config)
		if err != nil {
			return nil, err
		}
		watchers = append(watchers, &watcher{Contender: c, reconciles: h.reconciles, target: h.target, why: h.why})
	}
	return watchers, nil
}

// measureMemory has all watchers watch no objects, and then all objects, side by side.
func (b *bench) measureMemory(ctx context.Context, plane *contest.Plane) (*memory, error) {
	watchers, err := b.watchers(plane)
	if err != nil {
		return nil, err
	}
	m := &memory{objects: b.objects, watchers: watchers}
	if _, err := plane.Client.Resource(views).Namespace(namespace).Create(ctx, view("another"), metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	say("memory without objects")
	// The first start compiles the module, which leaves more behind than those that come after.
	for _, start := range []func(context.Context, *contest.Plane) error{m.comeAndGo, m.measureEmpty} {
		if err := m.whileRunning(plane, func() error { return start(ctx, plane) }); err != nil {
			return nil, err
		}
	}
	say("memory with %d objects", b.objects)
	create := func(i int) error { return createConfigMap(ctx, plane, fmt.Sprintf("config-%05d", i)) }
	if err := contest.Each(b.objects, create); err != nil {
		return nil, err
	}
	if err := m.measureSizes(ctx, plane); err != nil {
		return nil, err
	}
	return m, m.whileRunning(plane, func() error { return m.measureFilled(ctx) })
}

// whileRunning calls measure while all watchers run.
func (m *memory) whileRunning(plane *contest.Plane, measure func() error) (err error) {
	for _, w := range m.watchers {
		if w.process, err = plane.Launch(w.Contender); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.process.Stop()) }()
	}
	return measure()
}

// reconciled waits until all watchers have reconciled so many objects.
func (m *memory) reconciled(ctx context.Context, objects int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, w := range m.watchers {
		wanted := 1
		if w.reconciles {
			wanted = objects
		}
		if err := w.process.Reconciled(ctx, wanted); err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	return nil
}

// measureEmpty measures without objects. A few have come and gone, so that what the first ones take does not count for
// objects: instances of the module above all.
func (m *memory) measureEmpty(ctx context.Context, plane *contest.Plane) error {
	if err := m.comeAndGo(ctx, plane); err != nil {
		return err
	}
	time.Sleep(settle)
	return m.read(ctx, func(w *watcher) *taken { return &w.empty })
}

// comeAndGo has a few objects reconciled and deletes them.
func (m *memory) comeAndGo(ctx context.Context, plane *contest.Plane) error {
	const few = 50
	name := func(i int) string { return fmt.Sprintf("first-%02d", i) }
	if err := m.reconciled(ctx, 0); err != nil {
		return err
	}
	if err := contest.Each(few, func(i int) error { return createConfigMap(ctx, plane, name(i)) }); err != nil {
		return err
	}
	if err := m.reconciled(ctx, few); err != nil {
		return err
	}
	return contest.Each(few, func(i int) error {
		return plane.Client.Resource(configMaps).Namespace(namespace).Delete(ctx, name(i), metav1.DeleteOptions{})
	})
}

func (m *memory) measureFilled(ctx context.Context) error {
	if err := m.reconciled(ctx, m.objects); err != nil {
		return err
	}
	time.Sleep(settle)
	return m.read(ctx, func(w *watcher) *taken { return &w.atRest })
}

// read reads the memory of all.
func (m *memory) read(ctx context.Context, into func(w *watcher) *taken) (err error) {
	for _, w := range m.watchers {
		if *into(w), err = takenBy(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func takenBy(ctx context.Context, w *watcher) (t taken, err error) {
	bytes, err := w.process.Memory()
	if err != nil {
		return t, err
	}
	t.resident = float64(bytes)
	t.heap, err = w.process.Counter(ctx, "go_memstats_heap_alloc_bytes ")
	return t, err
}

// measureSizes reads how large an object is.
func (m *memory) measureSizes(ctx context.Context, plane *contest.Plane) error {
	object, err := plane.Client.Resource(configMaps).Namespace(namespace).Get(ctx, "config-00000", metav1.GetOptions{})
	if err != nil {
		return err
	}
	full, err := json.Marshal(object)
	if err != nil {
		return err
	}
	object.SetManagedFields(nil)
	object.SetResourceVersion("")
	compact, err := json.Marshal(object)
	m.full, m.compact = len(full), len(compact)
	return err
}

func createConfigMap(ctx context.Context, plane *contest.Plane, name string) error {
	_, err := plane.Client.Resource(configMaps).Namespace(namespace).Create(ctx, configMap(name), metav1.CreateOptions{FieldManager: "kubectl-create"})
	return err
}

// configMap returns what a team might have: labels, an annotation and some settings, of 1 KiB in all.
func configMap(name string) *unstructured.Unstructured {
	data := map[string]any{"application.yaml": strings.Repeat("# what the application is to do, and what not\n", 8)}
	for _, key := range []string{"database.url", "cache.url", "queue.url"} {
		data[key] = "https://" + name + "." + key + ".example.com:8443"
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data,
		"metadata": map[string]any{
			"name": name,
			"labels": map[string]any{
				"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench", "app.kubernetes.io/managed-by": "kubectl",
			},
			"annotations": map[string]any{"example.com/team": "a-team-with-a-name", "example.com/checksum": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"},
		},
	}}
}

// view returns an object of a kind of which nothing else is made of.
func view(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "view.example.com/v1", "kind": "MarkdownView", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"markdowns": map[string]any{"SUMMARY.md": "- [Page](page.md)"}},
	}}
}

func (m *memory) print(out io.Writer) {
	const mi = 1 << 20
	fmt.Fprintf(out, "%d ConfigMaps of %d bytes of compact JSON, %d with managedFields; per object: less the memory without objects\n\n",
		m.objects, m.compact, m.full)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "memory at rest\tno objects\tall objects\tper object\tof native\tper object, in the heap\tof native\tof compact JSON\ttarget\t")
	var missed []string
	each := func(w *watcher) taken { return w.atRest.minus(w.empty).over(m.objects) }
	native := each(m.watchers[0])
	for _, w := range m.watchers {
		own := each(w)
		ofJSON := own.heap / float64(m.compact)
		verdict, met := "", true
		if w.target != nil {
			verdict, met = w.target.Verdict(ofJSON)
		}
		fmt.Fprintf(table, "%s\t%.1f MiB\t%.1f MiB\t%.0f B\t%.2f\t%.0f B\t%.2f\t%.2f\t%s\t\n", w.Name, w.empty.resident/mi, w.atRest.resident/mi,
			own.resident, own.resident/native.resident, own.heap, own.heap/native.heap, ofJSON, verdict)
		if !met {
			missed = append(missed, fmt.Sprintf("✗ %s: %s", w.Name, w.why))
		}
	}
	_ = table.Flush() // stdout; who closes it does not want the table
	fmt.Fprintln(out, strings.Join(missed, "\n"))
}
