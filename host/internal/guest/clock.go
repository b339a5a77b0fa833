package guest

import "time"

// epoch is when every call's wall clock starts, unless Options say otherwise: a moment that is plainly not now, yet late enough for libraries that
// refuse dates before their own time.
var epoch = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// tick is what each reading moves the clock on, so that a loop that waits for time to pass ends.
const tick = time.Microsecond

// clock is the time of one call: it starts at the same instant in every call and depends on nothing but the call.
type clock struct{ elapsed time.Duration }

func (c *clock) read() time.Duration {
	c.elapsed += tick
	return c.elapsed
}

// maxElapsed keeps a call's clock from running over, whatever it sleeps.
const maxElapsed = 100 * 365 * 24 * time.Hour

// sleep returns at once, and moves the clock on so that a runtime's timers end.
func (c *clock) sleep(d time.Duration) {
	c.elapsed = max(c.elapsed, min(c.elapsed+min(max(d, 0), maxElapsed), maxElapsed))
}
