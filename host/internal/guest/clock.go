package guest

import (
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// epoch is when every call's wall clock starts: a moment that is plainly not now, yet past the start of certificates'
// and libraries' sanity checks.
var epoch = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

const (
	clockResolution = sys.ClockResolution(time.Microsecond)
	// tick is what each reading moves the clock on, so that a loop that waits for time to pass ends.
	tick = time.Microsecond
)

// clock is the time of one call: it starts at the same instant in every call and depends on nothing but the call.
type clock struct{ elapsed time.Duration }

func (c *clock) read() time.Duration {
	c.elapsed += tick
	return c.elapsed
}

func (c *clock) wall() (sec int64, nsec int32) {
	now := epoch.Add(c.read())
	return now.Unix(), int32(now.Nanosecond())
}

func (c *clock) nano() int64 { return int64(c.read()) }

// sleep returns at once, and moves the clock on so that a runtime's timers end.
func (c *clock) sleep(ns int64) { c.elapsed += time.Duration(max(ns, 0)) }
