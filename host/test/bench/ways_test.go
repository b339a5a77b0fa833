package bench

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
)

// rounds is how many turns each way gets.
const rounds = 21

// way is one way of doing something: measure returns the median time of it.
type way struct {
	name    string
	measure func() time.Duration
	turns   []time.Duration
}

// median is the median of the turns.
func (w *way) median() time.Duration { return median(slices.Clone(w.turns)) }

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// over returns how many times as long as another way this one takes: the median of what it was in each turn.
func (w *way) over(other *way) float64 {
	ratios := make([]float64, len(w.turns))
	for i := range w.turns {
		ratios[i] = float64(w.turns[i]) / float64(other.turns[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// measureAll gives all ways their turns.
func measureAll(ways []*way) {
	for _, w := range ways {
		w.measure() // warm up
	}
	for round := range rounds {
		for i := range ways {
			w := ways[(i+round)%len(ways)] // so that none always follows the same one
			w.turns = append(w.turns, w.measure())
		}
	}
}

// timed makes a way of a function that is called so many times in a turn.
func timed(b *testing.B, name string, calls int, f func() error) *way {
	return &way{name: name, measure: func() time.Duration {
		times := make([]time.Duration, calls)
		for i := range times {
			start := time.Now()
			if err := f(); err != nil {
				b.Fatalf("%s: %v", name, err)
			}
			times[i] = time.Since(start)
		}
		return median(times)
	}}
}

// guestWays are the ways of calling one module.
type guestWays struct {
	bare, metered, closing, fresh, hermetic *way
}

func (g *guestWays) all() []*way { return []*way{g.bare, g.metered, g.closing, g.fresh, g.hermetic} }

// waysOf returns the ways of calling a module. A turn takes so many calls.
func waysOf(b *testing.B, name string, calls int) *guestWays {
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	wasm, request := file(b, name), file(b, guesttest.Request)
	warm := func(what string, options guesttest.Options) *way {
		i, err := compile(ctx, b, wasm, options).Instantiate(ctx)
		if err != nil {
			b.Fatal(err)
		}
		return timed(b, what, calls, func() error { _, err := i.Call(ctx, request); return err })
	}
	closing := compile(ctx, b, wasm, guesttest.Options{CloseOnContextDone: true})
	module := load(b, newRuntime(b, guest.Options{}), name)
	return &guestWays{
		bare:    warm("warm instance that cannot be interrupted", guesttest.Options{}),
		metered: warm("the same, metered", guesttest.Options{Metered: true}),
		closing: warm("the same with WithCloseOnContextDone", guesttest.Options{CloseOnContextDone: true}),
		fresh: timed(b, "fresh instance with WithCloseOnContextDone", max(calls/8, 2), func() error {
			i, err := closing.Instantiate(ctx)
			if err != nil {
				return err
			}
			if _, err := i.Call(ctx, request); err != nil {
				return err
			}
			return i.Close(ctx)
		}),
		hermetic: timed(b, "hermetic and metered: a call of the sandbox", calls, func() error {
			_, err := module.Call(ctx, request, silent)
			return err
		}),
	}
}

func compile(ctx context.Context, b *testing.B, wasm []byte, options guesttest.Options) *guesttest.Module {
	b.Helper()
	m, err := guesttest.Compile(ctx, wasm, options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close(context.WithoutCancel(ctx)) })
	return m
}

// native calls the Go function that the Go module is made of, in a process of its own: the benchmark beside it.
func native(b *testing.B) *way {
	folder := b.TempDir()
	binary := filepath.Join(folder, "native.test")
	build := exec.CommandContext(b.Context(), "go", "test", "-c", "-o", binary, "github.com/wasmloop/wasmloop/modules/markdownview")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("cannot build the benchmark of the native function: %v\n%s", err, out)
	}
	return &way{name: "native Go function", measure: func() time.Duration {
		out, err := exec.CommandContext(b.Context(), binary, "-test.run", "^$", "-test.bench", "^BenchmarkReconcile$", "-test.benchtime", "300x").CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return reported(b, string(out), "median-ns/op")
	}}
}

// reported finds what a benchmark reported.
func reported(b *testing.B, output, unit string) time.Duration {
	fields := strings.Fields(output)
	at := slices.Index(fields, unit)
	if at < 1 {
		b.Fatalf("no %s in %s", unit, output)
	}
	ns, err := strconv.ParseFloat(fields[at-1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

func rewrite(b *testing.B) *way {
	wasm := file(b, guesttest.MarkdownView)
	return timed(b, "rewriting the Go module", 3, func() error { _, err := meter.Rewrite(wasm, meter.Options{}); return err })
}

// firstCall is what a host does that starts with the compiled module on disk.
func firstCall(b *testing.B) *way {
	ctx, options := b.Context(), guest.Options{CacheDir: b.TempDir()}
	wasm, request := file(b, guesttest.MarkdownView), file(b, guesttest.Request)
	return timed(b, "cached Go module to the end of its first call", 1, func() error {
		r, err := guest.NewRuntime(ctx, options)
		if err != nil {
			return err
		}
		m, err := r.Load(ctx, wasm, guest.Limits{}, guest.Hermetic)
		if err != nil {
			return err
		}
		if _, err := m.Call(ctx, request, silent); err != nil {
			return err
		}
		return r.Close(ctx)
	})
}
