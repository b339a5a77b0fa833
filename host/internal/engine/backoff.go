package engine

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// A reconcile that fails is tried again after the first of these, then twice as long each time up to the second.
const firstRetry, lastRetry = 10 * time.Millisecond, 5 * time.Minute

// backoff is how long each object waits until its next try. Up to a fifth is taken off at random, so that objects that
// failed together do not come back together.
func backoff() workqueue.TypedRateLimiter[key] {
	return &jittered{workqueue.NewTypedItemExponentialFailureRateLimiter[key](firstRetry, lastRetry)}
}

type jittered struct {
	workqueue.TypedRateLimiter[key]
}

// When implements workqueue.TypedRateLimiter.
func (j *jittered) When(item key) time.Duration {
	delay := j.TypedRateLimiter.When(item)
	return delay - rand.N(delay/5+1)
}
