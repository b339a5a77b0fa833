package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// row is a line of the table.
type row struct {
	name   string
	figure float64
	unit   string
	// target is what the figure should be, if it should be anything.
	target *contest.Target
	// why is why the target may be missed.
	why string
}

func atMost(value float64) *contest.Target { return &contest.Target{Value: value} }

func printRows(w io.Writer, rows []row) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "figure\tmeasured\ttarget\t")
	var missed []string
	for _, r := range rows {
		verdict, met := "", true
		if r.target != nil {
			verdict, met = r.target.Verdict(r.figure)
		}
		fmt.Fprintf(table, "%s\t%s %s\t%s\t\n", r.name, short(r.figure), r.unit, verdict)
		if !met {
			missed = append(missed, fmt.Sprintf("✗ %s: %s", r.name, r.why))
		}
	}
	_ = table.Flush() // stdout; who closes it does not want the table
	fmt.Fprintln(w, strings.Join(missed, "\n"))
}

// short writes a figure with about four digits.
func short(figure float64) string {
	if figure >= 1000 {
		return fmt.Sprintf("%.0f", figure)
	}
	return fmt.Sprintf("%.4g", figure)
}
