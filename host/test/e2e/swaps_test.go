package e2e

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	swapsFlag  = flag.Int("swaps", 4, "put another module in the place of the one that runs as often in TestSwapsUnderLoad")
	loadedFlag = flag.Int("loaded", 100, "objects that change meanwhile")
)

// writers is how many objects change at the same time.
const writers = 4

// swaps is a host under load whose module is replaced again and again.
type swaps struct {
	*live
	t       *testing.T
	objects []*unstructured.Unstructured

	mu sync.Mutex
	// profiles is where the host serves its own.
	profiles string
	// versions are those that each child was last written by, and backwards what was written by a version after a later one.
	versions  map[string]int
	backwards []string
}

// TestSwapsUnderLoad replaces the module while all objects change. No change is lost, no object goes back to a version of the
// module that was replaced, and the host grows by nothing.
func TestSwapsUnderLoad(t *testing.T) {
	s := &swaps{live: newLive(t), t: t, versions: map[string]int{}}
	build := func(version int) string { return buildVersion(t, "v"+strconv.Itoa(version)) }
	s.mount(t, s.controllers("one"), build(0))
	for i := range *loadedFlag {
		s.objects = append(s.objects, create(t, s.namespace, fmt.Sprintf(liveObject, fmt.Sprintf("o%d", i), "one")))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.follow(ctx)
	s.profiles = freeAddress(t)
	args := []string{"--metrics-bind-address", s.metrics, "--pprof-bind-address", s.profiles, "--cache-dir", filepath.Join(t.TempDir(), "cache")}
	runWith(t, s.path(), args, func(h *host) {
		eventually(t, func() error { return s.settled(ctx, 0, "hello") })
		var before usage
		for version := 1; version <= *swapsFlag; version++ {
			module := build(version)
			text := strconv.Itoa(version)
			changing := s.change(ctx, text)
			s.mount(t, s.controllers("one"), module)
			if err := changing(); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error { return s.settled(ctx, version, text) })
			if version == (*swapsFlag+1)/2 {
				before = s.usage()
			}
		}
		after := s.usage()
		t.Logf("%d swaps under %d objects: %s after half of them, %s at the end", *swapsFlag, *loadedFlag, before, after)
		if after.goroutines > before.goroutines+before.goroutines/4 || after.heap > before.heap+before.heap/4 {
			t.Errorf("the host grows: %s, then %s", before, after)
		}
		if got := strings.Count(h.Log(), "controller replaced"); got != *swapsFlag {
			t.Errorf("the controller was replaced %d times, want %d", got, *swapsFlag)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.backwards) > 0 {
		t.Errorf("a module went on after it was replaced: %s", strings.Join(s.backwards, ", "))
	}
}

// change has all objects changed, a few at a time. What it returns waits until they are.
func (s *swaps) change(ctx context.Context, text string) (wait func() error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	done := make(chan error, 1)
	go func() {
		for _, object := range s.objects {
			group.Go(func() error {
				patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"text":%q}}`, text))
				return api.Patch(ctx, object.DeepCopy(), patch)
			})
		}
		done <- group.Wait()
	}()
	return func() error { return <-done }
}

// follow notes which version wrote each child, in the order of the writes.
func (s *swaps) follow(ctx context.Context) {
	watching, err := client.NewWithWatch(cluster.Config(), client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMapList"})
	changes, err := watching.Watch(ctx, list, client.InNamespace(s.namespace))
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer changes.Stop()
		for change := range changes.ResultChan() {
			if child, ok := change.Object.(*unstructured.Unstructured); ok && change.Type != watch.Deleted {
				s.note(child)
			}
		}
	}()
}

func (s *swaps) note(child *unstructured.Unstructured) {
	version, ok := versionOf(child)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, known := s.versions[child.GetName()]; known && version < before {
		s.backwards = append(s.backwards, fmt.Sprintf("%s by v%d after v%d", child.GetName(), version, before))
	}
	s.versions[child.GetName()] = version
}

func versionOf(child *unstructured.Unstructured) (version int, ok bool) {
	text, _, _ := unstructured.NestedString(child.Object, "data", "version")
	number, ok := strings.CutPrefix(text, "v")
	if !ok {
		return 0, false
	}
	version, err := strconv.Atoi(number)
	return version, err == nil
}

// settled returns an error unless all children are of a version and a text.
func (s *swaps) settled(ctx context.Context, version int, text string) error {
	children := &unstructured.UnstructuredList{}
	children.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMapList"})
	if err := api.List(ctx, children, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	ready := 0
	for i := range children.Items {
		got, ok := versionOf(&children.Items[i])
		if shown, _, _ := unstructured.NestedString(children.Items[i].Object, "data", "text"); ok && got == version && shown == text {
			ready++
		}
	}
	if ready != len(s.objects) {
		return fmt.Errorf("%d of %d children are of v%d and %q", ready, len(s.objects), version, text)
	}
	return nil
}

// usage is what a host takes.
type usage struct{ heap, goroutines int }

// String says it.
func (u usage) String() string {
	return fmt.Sprintf("%.1f MB of heap and %d goroutines", float64(u.heap)/1e6, u.goroutines)
}

// usage reads what the host takes, the least of a few looks, each after a collection of what is no longer used.
func (s *swaps) usage() (least usage) {
	for i := range 5 {
		read(s.t, "http://"+s.profiles+"/debug/pprof/heap?gc=1")
		metrics := read(s.t, "http://"+s.metrics+"/metrics")
		now := usage{number(s.t, metrics, "go_memstats_heap_alloc_bytes"), number(s.t, metrics, "go_goroutines")}
		if i == 0 || now.heap < least.heap {
			least = now
		}
	}
	return least
}

func number(t *testing.T, metrics, name string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		t.Fatalf("there is no metric %s", name)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(value)
}
