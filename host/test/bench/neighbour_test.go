package bench

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
)

// hostile are modules that use up what they can: each call of them ends at a limit.
var hostile = []string{
	"host/internal/guest/testdata/loop_always.wasm",
	"host/internal/guest/testdata/grow_forever.wasm",
	"host/internal/guest/testdata/recursion_exponential.wasm",
}

// neighbourRows measures a good controller's calls alone, and beside controllers with hostile modules that are called
// without a pause. (In a host such a controller is slowed down besides.)
func neighbourRows(b *testing.B) []row {
	r := newRuntime(b, guest.Options{})
	good := load(b, r, guesttest.MarkdownViewRust)
	var bad []*guest.Module
	for _, name := range hostile {
		bad = append(bad, load(b, r, name))
	}
	request := file(b, guesttest.Request)
	alone := percentiles(b, good, request)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for _, m := range bad {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = m.Call(ctx, request, silent) // fails, that is what it is for
			}
		})
	}
	beside := percentiles(b, good, request)
	cancel()
	wg.Wait()
	return []row{
		atMost("Rust: median beside 3 hostile controllers / alone", float64(beside.p50)/float64(alone.p50), 3, "x"),
		atMost("Rust: 99th percentile beside 3 hostile controllers", milliseconds(beside.p99), 30, "ms").
			because("a call may have to wait for slices of all three, which a host's backoff spares it"),
		atMost("Rust: 99th percentile alone", milliseconds(alone.p99), 30, "ms"),
	}
}

type percentile struct{ p50, p99 time.Duration }

// percentiles calls a module every few milliseconds, as events come in.
func percentiles(b *testing.B, m *guest.Module, request []byte) percentile {
	times := make([]time.Duration, 1000)
	for i := range times {
		start := time.Now()
		if _, err := m.Call(b.Context(), request, silent); err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(start)
		time.Sleep(2 * time.Millisecond)
	}
	slices.Sort(times)
	return percentile{times[len(times)/2], times[len(times)*99/100]}
}
