package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
)

// row is one target and what was measured.
type row struct {
	what    string
	got     float64
	unit    string
	target  float64
	atLeast bool   // or else at most
	why     string // it may not be met, in a few words
}

func (r row) met() bool {
	if r.atLeast {
		return r.got >= r.target
	}
	return r.got <= r.target
}

func (r row) bound() string {
	if r.atLeast {
		return "≥"
	}
	return "≤"
}

func atMost(what string, got, target float64, unit string) row {
	return row{what: what, got: got, unit: unit, target: target}
}

func atLeast(what string, got, target float64, unit string) row {
	return row{what: what, got: got, unit: unit, target: target, atLeast: true}
}

// because says why a target may not be met.
func (r row) because(why string) row {
	r.why = why
	return r
}

func (r row) verdict() string {
	switch {
	case r.met():
		return "met"
	case r.why == "":
		return "NOT MET"
	default:
		return "NOT MET: " + r.why
	}
}

// languages are the modules that are measured. All answer the same request with the same bytes.
var languages = []struct {
	name, file string
	calls      int     // in a turn
	hermetic   float64 // the most that a call of the sandbox may cost, in calls of a warm instance
}{
	{"Go", guesttest.MarkdownView, 12, 1.15},
	{"Rust", guesttest.MarkdownViewRust, 100, 1.5},
	{"C", guesttest.MarkdownViewC, 100, 1.5},
}

// BenchmarkTargets measures everything that has a target, once, and prints the table. It asserts nothing.
func BenchmarkTargets(b *testing.B) {
	guests := map[string]*guestWays{}
	nativeGo, rewriting, first := native(b), rewrite(b), firstCall(b)
	ways := []*way{nativeGo, rewriting, first}
	for _, l := range languages {
		guests[l.name] = waysOf(b, l.file, l.calls)
		ways = append(ways, guests[l.name].all()...)
	}
	measureAll(ways)
	var rows []row
	for _, l := range languages {
		rows = append(rows, callRows(l.name, guests[l.name], l.hermetic)...)
	}
	rows = append(rows,
		atMost("Rust: hermetic and metered / native Go function", guests["Rust"].hermetic.over(nativeGo), 2, "x"),
		atMost("rewriting the Go module", milliseconds(rewriting.median()), 60, "ms"),
		atMost("cached Go module to the end of its first call", milliseconds(first.median()), 150, "ms").
			because("wazero validates the module and reads its machine code"))
	rows = append(rows, resourceRows(b)...)
	rows = append(rows, neighbourRows(b)...)
	printTimes(os.Stdout, guests, nativeGo)
	printRows(os.Stdout, rows)
	b.ReportMetric(0, "ns/op") // the table says it all
}

func callRows(language string, g *guestWays, hermetic float64) []row {
	return []row{
		atMost(language+": metered / unmetered, warm", g.metered.over(g.bare), 1.25, "x").
			because("charges of short loops"),
		atMost(language+": hermetic and metered / unmetered, warm", g.hermetic.over(g.bare), hermetic, "x").
			because("the charges, a fresh stack and putting pages back"),
		atLeast(language+": fresh instance with WithCloseOnContextDone / hermetic and metered", g.fresh.over(g.hermetic), 10, "x").
			because("a small guest is instantiated in little time"),
		atLeast(language+": WithCloseOnContextDone / metered, warm", g.closing.over(g.metered), 2, "x"),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func printTimes(out io.Writer, guests map[string]*guestWays, nativeGo *way) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nmedian time of a MarkdownView reconcile: %d turns, %d processors", rounds, runtime.GOMAXPROCS(0))
	for _, l := range languages {
		fmt.Fprintf(w, "\t%s guest", l.name)
	}
	for i, one := range guests[languages[0].name].all() {
		fmt.Fprintf(w, "\n%s", one.name)
		for _, l := range languages {
			fmt.Fprintf(w, "\t%v", short(guests[l.name].all()[i]))
		}
	}
	fmt.Fprintf(w, "\n%s\t%v\n", nativeGo.name, short(nativeGo))
	_ = w.Flush() // to stdout
}

func short(w *way) time.Duration { return w.median().Round(time.Microsecond) }

func printRows(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\ntarget\tmeasured\tto reach\t\n")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.4g %s\t%s %g %s\t%s\n", r.what, r.got, r.unit, r.bound(), r.target, r.unit, r.verdict())
	}
	fmt.Fprint(w, "\nWhy some are not met: host/RATIONALE.md, \"Which speed targets are not met, and why?\"\n\n")
	_ = w.Flush() // to stdout
}
