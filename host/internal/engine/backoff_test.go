package engine

import (
	"testing"
	"time"
)

// TestBackoff follows two objects that keep failing.
func TestBackoff(t *testing.T) {
	limiter := backoff()
	a, b := key{GroupVersionKind: modern}, key{GroupVersionKind: plain}
	differ := false
	for full := firstRetry; full < 8*lastRetry; full *= 2 {
		most := min(full, lastRetry)
		waits := [2]time.Duration{limiter.When(a), limiter.When(b)}
		for _, wait := range waits {
			if wait > most || wait < most-most/5 {
				t.Errorf("got %s, want %s or up to a fifth less", wait, most)
			}
		}
		differ = differ || waits[0] != waits[1]
	}
	if !differ {
		t.Error("objects that failed together come back together each time")
	}
	limiter.Forget(a)
	if wait := limiter.When(a); wait > firstRetry {
		t.Errorf("what went well is as new: got %s, want at most %s", wait, firstRetry)
	}
	if wait := limiter.When(b); wait < lastRetry-lastRetry/5 {
		t.Errorf("and others are not: got %s", wait)
	}
}
