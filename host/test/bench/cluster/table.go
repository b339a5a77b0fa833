package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// row is a line of the table: a figure, and the target of its ratio or of itself.
type row struct {
	name   string
	of     func(f figures) float64
	unit   string
	target float64
	// atLeast is true if the ratio should be at least the target, rather than at most.
	atLeast bool
	// absolute is true if the target is of our figure itself.
	absolute bool
	// why is why the target may be missed.
	why string
}

// Why targets are missed that are. host/RATIONALE.md has the figures.
const (
	whyRate   = "the cores are shared with the control plane, whose CPU time per object is above: server-side apply costs it more than create and update"
	whyCPU    = "a fifth is the guest's, two calls of a Go module per object; the rest is that of native, over JSON instead of protobuf"
	whyStart  = "loading the module takes 120 to 190 ms whatever the number of objects"
	whySlow   = "the module's call, and an apply that takes the API server longer than an update"
	whyMemory = "a Go module's machine code takes 14 MiB, what wazero keeps of the module 6 MiB, and the host's own program 10 MiB more than native's"
	whyGrowth = "the instances that the first calls make are counted here; in a heap profile an object with its children takes 7 KiB"
)

func rows(objects int) []row {
	ms := contest.Milliseconds
	each := func(d time.Duration) float64 { return ms(d) / float64(objects) }
	const mi, ki = 1 << 20, 1 << 10
	return []row{
		{"objects per second, all created", func(f figures) float64 { return float64(objects) / f.create.Seconds() }, "/s", 0.95, true, false, whyRate},
		{"CPU per object", func(f figures) float64 { return each(f.createCPU) }, "ms", 1.3, false, false, whyCPU},
		{"CPU of the control plane per object", func(f figures) float64 { return each(f.serversCPU) }, "ms", 0, false, false, ""},
		{"writes per object", func(f figures) float64 { return f.createWrites }, "", 4, false, true, ""},
		{"of these: create", func(f figures) float64 { return f.creates }, "", 0, false, false, ""},
		{"of these: update", func(f figures) float64 { return f.updates }, "", 0, false, false, ""},
		{"of these: patch", func(f figures) float64 { return f.patches }, "", 0, false, false, ""},
		{"reads per object", func(f figures) float64 { return f.createReads }, "", 0, false, true, ""},
		{"module calls per object", func(f figures) float64 { return f.calls }, "", 2, false, true, ""},
		{"restart over converged objects", func(f figures) float64 { return ms(f.restart) }, "ms", 1.5, false, false, whyStart},
		{"restart, CPU", func(f figures) float64 { return ms(f.restartCPU) }, "ms", 1.5, false, false, whyStart},
		{"restart, writes", func(f figures) float64 { return f.restartWrites }, "", 0, false, true, ""},
		{"restart with a tenth changed", func(f figures) float64 { return ms(f.catchUp) }, "ms", 1.5, false, false, ""},
		{"child repaired, p50", func(f figures) float64 { return ms(f.repair50) }, "ms", 1.1, false, false, whySlow},
		{"child repaired, p99", func(f figures) float64 { return ms(f.repair99) }, "ms", 0, false, false, ""},
		{"spec change followed, p50", func(f figures) float64 { return ms(f.follow50) }, "ms", 1.1, false, false, whySlow},
		{"spec change followed, p99", func(f figures) float64 { return ms(f.follow99) }, "ms", 0, false, false, ""},
		{"CPU in a second of idleness", func(f figures) float64 { return ms(f.idleCPU) }, "ms", 0, false, false, ""},
		{"resident memory at rest, no objects", func(f figures) float64 { return f.memoryEmpty / mi }, "MiB", 0, false, false, ""},
		{"resident memory at rest, after creation", func(f figures) float64 { return f.memory / mi }, "MiB", 1.2, false, false, whyMemory},
		{"resident memory at rest, after a restart", func(f figures) float64 { return f.memoryAfterStart / mi }, "MiB", 1.2, false, false, whyMemory},
		{"resident memory per object", func(f figures) float64 { return f.memoryPerObject / ki }, "KiB", 1, false, false, whyGrowth},
	}
}

func printTable(w io.Writer, native, ours figures, objects, rounds int) {
	fmt.Fprintf(w, "%d objects with 3 children, 4 workers, medians of %d rounds in turn\n\n", objects, rounds)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tnative\twasmloop\tratio\ttarget\t")
	var missed []string
	for _, r := range rows(objects) {
		theirs, mine := r.of(native), r.of(ours)
		ratio := "-"
		if theirs != 0 {
			ratio = fmt.Sprintf("%.2f", mine/theirs)
		}
		verdict := r.verdict(theirs, mine)
		fmt.Fprintf(table, "%s\t%.4g %s\t%.4g %s\t%s\t%s\t\n", r.name, theirs, r.unit, mine, r.unit, ratio, verdict)
		if strings.HasSuffix(verdict, "✗") {
			missed = append(missed, fmt.Sprintf("✗ %s: %s", r.name, r.why))
		}
	}
	_ = table.Flush() // stdout; who closes it does not want the table
	fmt.Fprintln(w, strings.Join(missed, "\n"))
}

// printNeighbours prints what three controllers whose modules use up all that they are allowed do to the one beside
// them. They are called for each of its ConfigMaps.
func printNeighbours(w io.Writer, alone, beset figures) {
	ms := contest.Milliseconds
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nthe host's own controller\talone\tbeside 3 hostile ones\tratio\t")
	for _, r := range []struct {
		name         string
		alone, beset time.Duration
	}{
		{"child repaired, p50", alone.repair50, beset.repair50},
		{"child repaired, p99", alone.repair99, beset.repair99},
		{"spec change followed, p50", alone.follow50, beset.follow50},
		{"spec change followed, p99", alone.follow99, beset.follow99},
		{"all created", alone.create, beset.create},
	} {
		fmt.Fprintf(table, "%s\t%.4g ms\t%.4g ms\t%.2f\t\n", r.name, ms(r.alone), ms(r.beset), float64(r.beset)/float64(r.alone))
	}
	_ = table.Flush() // stdout; who closes it does not want the table
}

// verdict says what the target is, and whether it is met.
func (r row) verdict(theirs, mine float64) string {
	value := mine
	if !r.absolute {
		if theirs == 0 || r.target == 0 {
			return ""
		}
		value = mine / theirs
	}
	verdict, _ := contest.Target{Value: r.target, AtLeast: r.atLeast}.Verdict(value)
	return verdict
}

// median takes the median of each figure.
func median(rounds []figures) figures {
	var m figures
	pick(rounds, func(f *figures) *time.Duration { return &f.create }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.createCPU }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.serversCPU }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.createWrites }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.createReads }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.creates }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.updates }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.patches }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.idleCPU }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.restart }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.restartCPU }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.restartWrites }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.catchUp }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.repair50 }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.repair99 }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.follow50 }, &m)
	pick(rounds, func(f *figures) *time.Duration { return &f.follow99 }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.memoryEmpty }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.memory }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.memoryPerObject }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.memoryAfterStart }, &m)
	pick(rounds, func(f *figures) *float64 { return &f.calls }, &m)
	return m
}

func pick[T cmp.Ordered](rounds []figures, field func(*figures) *T, into *figures) {
	values := make([]T, len(rounds))
	for i := range rounds {
		values[i] = *field(&rounds[i])
	}
	slices.Sort(values)
	*field(into) = values[len(values)/2]
}
