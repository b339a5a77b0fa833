package contest

import (
	"fmt"
	"slices"
	"time"
)

// Target is what a figure should be.
type Target struct {
	Value float64
	// AtLeast is true if the figure should be at least that, rather than at most.
	AtLeast bool
}

// Verdict says what the target is, and whether a figure meets it.
func (t Target) Verdict(figure float64) (verdict string, met bool) {
	sign, met := "≤", figure <= t.Value+1e-9
	if t.AtLeast {
		sign, met = "≥", figure >= t.Value
	}
	mark := "✗"
	if met {
		mark = "✔"
	}
	return fmt.Sprintf("%s %.4g %s", sign, t.Value, mark), met
}

// Milliseconds returns a time in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Quantile returns the time that a share q of the times is at most. It sorts them.
func Quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[int(q*float64(len(times)-1))]
}
