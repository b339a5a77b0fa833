package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// TestPace has a second's worth of objects come out of a queue in a second, by a clock that stands still while there is work, and
// the one first that something has happened to.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, ok := newPaced("test", backoff()).(priorityqueue.PriorityQueue[key])
		if !ok {
			t.Fatal("the queue knows no priorities")
		}
		defer queue.ShutDown()
		named := func(i int) key { return key{NamespacedName: types.NamespacedName{Name: fmt.Sprint(i)}} }
		const objects = paceRate + paceBurst
		for i := range objects {
			for range 3 { // itself, and two children
				queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, named(i))
			}
		}
		urgent := named(objects - 1)
		queue.Add(urgent)
		start, came := time.Now(), map[key]time.Duration{}
		for len(came) < objects {
			k, _, _ := queue.GetWithPriority()
			if _, twice := came[k]; twice {
				t.Errorf("%s comes twice", k.Name)
			}
			came[k] = time.Since(start)
			queue.Done(k)
		}
		if came[urgent] != 0 {
			t.Errorf("what has just happened waits for %s", came[urgent])
		}
		if got := came[named(paceBurst-1)]; got != 0 {
			t.Errorf("the last one of the burst comes after %s", got)
		}
		// The urgent one was the last, and its turn is taken by nobody.
		if got, want := came[named(objects-2)], time.Second-time.Second/paceRate; got.Round(time.Millisecond) != want {
			t.Errorf("the last one comes after %s, want %s", got, want)
		}
		if got := queue.(*paced).due; len(got) != 0 {
			t.Errorf("the queue keeps %d objects that have come", len(got))
		}
	})
}
