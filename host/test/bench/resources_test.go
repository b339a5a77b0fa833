package bench

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
)

func resourceRows(b *testing.B) []row {
	const kib, mib = 1 << 10, 1 << 20
	i := inChild[instances](b, "instances")
	c := inChild[controllers](b, "controllers")
	g := inChild[growth](b, "growth")
	return []row{
		atMost("Go: resident memory for each further live instance", float64(i.PerInstance)/mib, 2, "MiB"),
		atMost("1,000 controllers on one digest: resident memory of the whole process", float64(c.Resident)/mib, 300, "MiB"),
		atMost("100,000 calls: growth of resident memory", float64(g.Resident)/mib, 1, "MiB"),
		atMost("100,000 calls: growth of mappings", float64(g.Mappings), 0, ""),
		atMost("100,000 calls: growth of file descriptors", float64(g.Descriptors), 0, ""),
		atMost("100,000 calls: growth of goroutines", float64(g.Goroutines), 0, ""),
	}
}

// resident returns the memory of this process in bytes. A page that is shared by several mappings counts once.
func resident() (int, error) {
	debug.FreeOSMemory()
	kib, err := status("/proc/self/smaps_rollup", "Pss")
	return kib << 10, err
}

// mappings returns how many of this process's mappings have a name that contains part.
func mappings(part string) (n int, err error) {
	data, err := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n, err
}

// calls makes calls from so many goroutines.
func calls(ctx context.Context, goroutines, each int, call func(ctx context.Context, goroutine int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				if err := call(ctx, g); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// setUp returns a runtime, the module of a file and a request.
func setUp(ctx context.Context, options guest.Options, name, request string) (*guest.Runtime, *guest.Module, []byte, error) {
	wasm, err := guesttest.File(name)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := guest.NewRuntime(ctx, options)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := r.Load(ctx, wasm, guest.Limits{}, guest.Hermetic)
	if err != nil {
		return nil, nil, nil, err
	}
	data, err := guesttest.File(request)
	return r, m, data, err
}

type instances struct {
	Live, PerInstance int
}

// measureInstances has many calls run at the same time, and counts what the instances that they needed take. An
// instance is one mapping of the image.
func measureInstances(ctx context.Context) (any, error) {
	const image, atOnce = "wasmloop-image", 64
	_, m, request, err := setUp(ctx, guest.Options{ConcurrentCalls: atOnce}, guesttest.MarkdownView, guesttest.Request)
	if err != nil {
		return nil, err
	}
	call := func(ctx context.Context, _ int) error {
		_, err := m.Call(ctx, request, silent)
		return err
	}
	if err := calls(ctx, 1, 3, call); err != nil {
		return nil, err
	}
	liveBefore, err := mappings(image)
	if err != nil {
		return nil, err
	}
	before, err := resident()
	if err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(atOnce) // so that they really run at the same time
	if err := calls(ctx, atOnce, 20, call); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(runtime.NumCPU())
	live, err := mappings(image)
	if err != nil {
		return nil, err
	}
	after, err := resident()
	if err == nil && live <= liveBefore {
		err = errors.New("no calls ran at the same time")
	}
	if err != nil {
		return nil, err
	}
	return instances{live, (after - before) / (live - liveBefore)}, nil
}

type controllers struct{ Resident int }

// measureControllers has 1,000 controllers call modules of one digest, all at once.
func measureControllers(ctx context.Context) (any, error) {
	const number = 1000
	r, _, request, err := setUp(ctx, guest.Options{}, guesttest.MarkdownView, guesttest.Request)
	if err != nil {
		return nil, err
	}
	wasm, err := guesttest.File(guesttest.MarkdownView)
	if err != nil {
		return nil, err
	}
	modules := make([]*guest.Module, number)
	for i := range modules {
		if modules[i], err = r.Load(ctx, wasm, guest.Limits{}, guest.Hermetic); err != nil {
			return nil, err
		}
	}
	err = calls(ctx, number, 3, func(ctx context.Context, g int) error {
		_, err := modules[g].Call(ctx, request, silent)
		return err
	})
	if err != nil {
		return nil, err
	}
	total, err := resident()
	return controllers{total}, err
}

// growth is by how much more there is of each after many calls.
type growth struct{ Resident, Mappings, Descriptors, Goroutines int }

func measureGrowth(ctx context.Context) (any, error) {
	const smallRequest = "modules/markdownview/warmup.json"
	_, goGuest, request, err := setUp(ctx, guest.Options{}, guesttest.MarkdownView, smallRequest)
	if err != nil {
		return nil, err
	}
	_, rust, _, err := setUp(ctx, guest.Options{}, guesttest.MarkdownViewRust, smallRequest)
	if err != nil {
		return nil, err
	}
	modules := []*guest.Module{goGuest, rust}
	call := func(ctx context.Context, g int) error {
		_, err := modules[g%2].Call(ctx, request, silent)
		return err
	}
	if err := calls(ctx, 4, 500, call); err != nil {
		return nil, err
	}
	before, err := used()
	if err != nil {
		return nil, err
	}
	if err := calls(ctx, 4, 25_000, call); err != nil {
		return nil, err
	}
	after, err := used()
	return growth{
		after.Resident - before.Resident, after.Mappings - before.Mappings,
		after.Descriptors - before.Descriptors, after.Goroutines - before.Goroutines,
	}, err
}

// used returns what there is at the moment.
func used() (now growth, err error) {
	time.Sleep(10 * time.Millisecond) // until goroutines that are done are gone
	if now.Resident, err = resident(); err != nil {
		return now, err
	}
	// Go's own heap is anonymous and splits and joins its mappings as it likes: images and devices are what can leak.
	if now.Mappings, err = mappings("wasmloop-image"); err != nil {
		return now, err
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	now.Descriptors, now.Goroutines = len(descriptors), runtime.NumGoroutine()
	return now, err
}
