package crash

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The flags that make a run as it was, and those that make more of them.
var (
	seedFlag     = flag.Uint64("seed", 0, "run the disturbed scenarios with this seed alone")
	writeFlag    = flag.String("write", "", "kill the host at these writes alone: WRITE:POINT,… with a point of before, after, away")
	seedsFlag    = flag.Int("seeds", 6, "try as many seeds of each scenario")
	outcomesFlag = flag.Bool("outcomes", false, "with -write: what the host remembers in files survives")
	longFlag     = flag.Bool("long", false, "kill the host at every pair of writes, in all ways")
)

// maxPairs is how many pairs of crashes are tried of each scenario, unless -long is set.
const maxPairs = 12

// TestCrashes kills the host at each of its writes, in every scenario, and at pairs of them.
func TestCrashes(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scenarios[name]
			if *writeFlag != "" {
				tryPlan(t, s, plan{crashes: parseCrashes(t, *writeFlag), outcomes: *outcomesFlag})
				return
			}
			writes := tryPlan(t, s, plan{})
			for _, crashes := range singles(writes) {
				tryPlan(t, s, plan{crashes: crashes})
				if *longFlag || crashes[0].point == after {
					tryPlan(t, s, plan{crashes: crashes, outcomes: true})
				}
			}
			for i, crashes := range pairs(writes) {
				tryPlan(t, s, plan{crashes: crashes, outcomes: i%2 == 0})
			}
		})
	}
}

// tryPlan runs a scenario as planned, and returns how many writes that took.
func tryPlan(t *testing.T, s *scenario, p plan) int {
	t.Helper()
	came := carryOut(t, s, p)
	if len(came.violations) > 0 {
		t.Errorf("%s: %s\n%s\nto see it again: %s\n%s", t.Name(), s.reason, strings.Join(came.violations, "\n"), p.flags(t.Name()), traceOf(came))
	}
	return came.writes
}

func traceOf(came report) string {
	if !testing.Verbose() {
		return "(with -v: what happened)"
	}
	return strings.Join(came.trace, "\n")
}

// flags returns the arguments of go test that run a plan again.
func (p plan) flags(test string) string {
	if p.disturbed {
		return fmt.Sprintf("go test ./host/test/crash -v -run '^%s$' -seed %d", test, p.seed)
	}
	parts := []string{}
	if len(p.crashes) == 0 {
		parts = append(parts, "0:after") // never
	}
	for _, each := range p.crashes {
		parts = append(parts, fmt.Sprintf("%d:%s", each.write, each.point))
	}
	return fmt.Sprintf("go test ./host/test/crash -v -run '^%s$' -write %s -outcomes=%t", test, strings.Join(parts, ","), p.outcomes)
}

func parseCrashes(t *testing.T, text string) (crashes []crash) {
	t.Helper()
	for part := range strings.SplitSeq(text, ",") {
		var each crash
		write, at, _ := strings.Cut(part, ":")
		if _, err := fmt.Sscan(write, &each.write); err != nil {
			t.Fatal(err)
		}
		each.point = point(at)
		crashes = append(crashes, each)
	}
	return crashes
}

// singles returns each way to kill the host once.
func singles(writes int) (all [][]crash) {
	for write := 1; write <= writes; write++ {
		for _, at := range []point{before, after, away} {
			all = append(all, []crash{{write, at}})
		}
	}
	return all
}

// pairs returns ways to kill the host twice. The second life may make a few writes more than the first would have.
func pairs(writes int) (all [][]crash) {
	for first := 1; first <= writes; first++ {
		for second := first + 1; second <= writes+2; second++ {
			for _, points := range [][2]point{{after, after}, {after, before}, {away, after}, {before, away}} {
				all = append(all, []crash{{first, points[0]}, {second, points[1]}})
			}
		}
	}
	if *longFlag || len(all) <= maxPairs {
		return all
	}
	var some [][]crash
	for i := range maxPairs {
		some = append(some, all[i*(len(all)-4)/maxPairs+i%4])
	}
	return some
}
