package main

import (
	_ "embed"
	"slices"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/sdk"
)

// servedBook is a request as the host makes it for a book that is being served, children and all.
//
//go:embed testdata/request.json
var servedBook []byte

// BenchmarkReconcile answers a request natively: what any way of running the module is measured against. Besides the mean it
// reports the median.
func BenchmarkReconcile(b *testing.B) {
	reconcile := sdk.Registered()
	times := make([]time.Duration, 0, 1<<20)
	b.SetBytes(int64(len(servedBook)))
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if _, err := reconcile(servedBook); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "median-ns/op")
}
