// Command watching measures on a real control plane what it costs the host to watch: memory, beside a native program with
// controller-runtime's cache, a related object that many share, resyncs, and changes that no module sees. It prints each
// figure with the target that it should reach.
//
// Every program runs as a process of its own. What it does is read from its metrics, from the accounting of the operating
// system and from the API server's audit log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

const (
	namespace = "default"
	// patience bounds each wait.
	patience = 5 * time.Minute
	// settle is how long a process is left alone before it is at rest.
	settle = 8 * time.Second
)

var (
	views      = schema.GroupVersionResource{Group: "view.example.com", Version: "v1", Resource: "markdownviews"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	accounts   = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
)

// bench is what is to be measured.
type bench struct {
	bin  string
	only string
	// objects are watched and resynced, sharing are those that share a related object, pods those whose status is changed
	// so often.
	objects, sharing, pods, changes int
	resync                          time.Duration
}

func main() {
	b := &bench{}
	flag.IntVar(&b.objects, "objects", 10_000, "objects to watch and to resync")
	flag.IntVar(&b.sharing, "sharing", 5_000, "objects that share a related object")
	flag.IntVar(&b.pods, "pods", 200, "Pods whose status is changed")
	flag.IntVar(&b.changes, "changes", 2_000, "changes of a status")
	flag.DurationVar(&b.resync, "resync", 20*time.Second, "time between resyncs")
	flag.StringVar(&b.only, "only", "", "measure just `what`: many objects, or busy ones")
	flag.StringVar(&b.bin, "bin", "bin/bench", "`folder` with wasmloop, unstructured and the module")
	flag.Parse()
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := b.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "✗", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	begin := time.Now()
	var rows []row
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]row, error)
	}{{"many", b.many}, {"busy", b.busy}} {
		if b.only != "" && b.only != part.name {
			continue
		}
		measured, err := part.measure(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, measured...)
	}
	printRows(os.Stdout, rows)
	say("measured in %v", time.Since(begin).Round(time.Second))
	return nil
}

// many measures many objects that do not change. Memory has a table of its own.
func (b *bench) many(ctx context.Context) (rows []row, err error) {
	err = onPlane(ctx, func(plane *contest.Plane) error {
		memory, err := b.measureMemory(ctx, plane)
		if err != nil {
			return fmt.Errorf("cannot measure memory: %w", err)
		}
		memory.print(os.Stdout)
		if rows, err = b.measureResync(ctx, plane); err != nil {
			return fmt.Errorf("cannot measure a resync: %w", err)
		}
		return nil
	})
	return rows, err
}

// busy measures many changes.
func (b *bench) busy(ctx context.Context) (rows []row, err error) {
	err = onPlane(ctx, func(plane *contest.Plane) error {
		shared, err := b.measureSharing(ctx, plane)
		if err != nil {
			return fmt.Errorf("cannot measure a shared object: %w", err)
		}
		changed, err := b.measureChanges(ctx, plane)
		if err != nil {
			return fmt.Errorf("cannot measure changes that are not seen: %w", err)
		}
		rows = slices.Concat(shared, changed)
		return nil
	})
	return rows, err
}

// onPlane calls measure with a control plane.
func onPlane(ctx context.Context, measure func(plane *contest.Plane) error) error {
	plane, err := contest.StartPlane(ctx)
	if err != nil {
		return err
	}
	return errors.Join(measure(plane), plane.Stop())
}

// say tells what is being done.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "► "+format+"\n", args...) }
