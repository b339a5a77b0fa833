package guest

import (
	"context"
	"testing"

	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// benchGuests are the guests that benchmarks call.
var benchGuests = []struct{ name, file string }{
	{"go", guesttest.MarkdownView}, {"rust", guesttest.MarkdownViewRust}, {"c", guesttest.MarkdownViewC},
}

func file(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := guesttest.File(name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func silent(abi.Level, string) {}

// BenchmarkCall compares the ways of calling one module. host/test/bench compares them with their targets.
func BenchmarkCall(b *testing.B) {
	for _, guest := range benchGuests {
		b.Run(guest.name, func(b *testing.B) {
			wasm := file(b, guest.file)
			for _, way := range []struct {
				name      string
				restore   restoreMode
				isolation Isolation
			}{
				{"hermetic", restoreBest, Hermetic},
				{"dontneed", restoreDontneed, Hermetic},
				{"copy", restoreCopy, Hermetic},
				{"fresh", restoreFresh, Hermetic},
				{"pooled", restoreBest, Pooled},
			} {
				if guest.name == "c" && way.isolation == Pooled {
					continue // it frees nothing, since each call starts afresh, and soon has no memory left
				}
				b.Run(way.name, func(b *testing.B) { benchmarkCall(b, wasm, way.restore, way.isolation) })
			}
			b.Run("wazero", func(b *testing.B) { benchmarkPlain(b, wasm, guesttest.Options{}) })
			b.Run("wazero-metered", func(b *testing.B) { benchmarkPlain(b, wasm, guesttest.Options{Metered: true}) })
			b.Run("wazero-close-on-done", func(b *testing.B) { benchmarkPlain(b, wasm, guesttest.Options{CloseOnContextDone: true}) })
		})
	}
}

func benchmarkCall(b *testing.B, wasm []byte, restore restoreMode, isolation Isolation) {
	ctx := context.Background()
	r, err := NewRuntime(ctx, Options{restore: restore})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close(ctx) }()
	m, err := r.Load(ctx, wasm, Limits{}, isolation)
	if err != nil {
		b.Fatal(err)
	}
	request := file(b, guesttest.Request)
	b.ReportAllocs()
	var result *Result
	for b.Loop() {
		if result, err = m.Call(ctx, request, silent); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(result.Fuel), "fuel/op")
}

func benchmarkPlain(b *testing.B, wasm []byte, options guesttest.Options) {
	ctx := context.Background()
	if options.CloseOnContextDone {
		var cancel func()
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
	}
	m, err := guesttest.Compile(ctx, wasm, options)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = m.Close(ctx) }()
	i, err := m.Instantiate(ctx)
	if err != nil {
		b.Fatal(err)
	}
	request := file(b, guesttest.Request)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Call(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRewrite rewrites the largest sample.
func BenchmarkRewrite(b *testing.B) {
	wasm := file(b, guesttest.MarkdownView)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := meter.Rewrite(wasm, meter.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
