package crash

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// key names an object in a controller's queue.
type key struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// queue does what controller-runtime's priority queue does: an object is in it once, at the earliest time that was asked
// for.
type queue struct {
	items    []item // in the order in which they came
	failures map[key]int
}

type item struct {
	key
	at time.Time
}

// The first and the last pause after a failure, as the engine has them, without their jitter.
const firstRetry, lastRetry = 10 * time.Millisecond, 5 * time.Minute

func (q *queue) add(k key, after time.Duration) {
	at := time.Now().Add(after)
	for i := range q.items {
		if q.items[i].key == k {
			if at.Before(q.items[i].at) {
				q.items[i].at = at
			}
			return
		}
	}
	q.items = append(q.items, item{k, at})
}

func (q *queue) retry(k key) {
	if q.failures == nil {
		q.failures = map[key]int{}
	}
	pause := lastRetry
	if n := q.failures[k]; n < 20 {
		pause = min(firstRetry<<n, lastRetry)
	}
	q.failures[k]++
	q.add(k, pause)
}

func (q *queue) forget(k key) { delete(q.failures, k) }

// take takes the object out whose turn it is, if there is one. busy objects wait until they are not.
func (q *queue) take(busy map[key]bool) (key, bool) {
	now := time.Now()
	for i, each := range q.items {
		if !each.at.After(now) && !busy[each.key] {
			q.items = slices.Delete(q.items, i, i+1)
			return each.key, true
		}
	}
	return key{}, false
}

// next is the time of what comes first.
func (q *queue) next() (at time.Time, ok bool) {
	for _, each := range q.items {
		if !ok || each.at.Before(at) {
			at, ok = each.at, true
		}
	}
	return at, ok
}
