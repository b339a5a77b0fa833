package reconcile

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

const (
	// cacheTimeout is how long an object waits for the cache to show the host's own last writes.
	cacheTimeout = 10 * time.Second
	// eventInterval is how often an event that says the same as the one before is recorded again, so that it does not
	// expire (after an hour) while what it tells of goes on.
	eventInterval = 10 * time.Minute
	// maxEvents is how many different events of one object are recorded within that time.
	maxEvents = 50
)

// memory is what a Reconciler remembers of the objects that it reconciled: nothing that a restart would miss, but it
// saves work. The zero value is ready for use.
type memory struct {
	mu      sync.Mutex
	objects map[types.NamespacedName]*remembered
}

// remembered is what is known of one object.
type remembered struct {
	// fingerprint is that of the observation whose outcome was fully applied; empty if there was none.
	fingerprint string
	// due is when a requeue is due.
	due time.Time
	// conflicts is how many reconciles in a row ended in a conflict.
	conflicts int
	// writes are our own writes that the cache has not been seen to show.
	writes map[objectKey]write
	// since is the time of the oldest of them.
	since time.Time
	// events are the last events and when they were recorded.
	events map[abi.Event]time.Time
}

type objectKey struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// write is what the cache must show: this version of the object or a later one, or that it is going.
type write struct {
	uid     types.UID
	version string
	created bool // the cache cannot have shown the object before
	deleted bool
}

func keyOf(object *unstructured.Unstructured) objectKey {
	return objectKey{object.GroupVersionKind(), types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}}
}

// keyOfReference returns the key of an object in the namespace that the reference names, or else in this one.
func keyOfReference(named abi.Reference, namespace string) objectKey {
	return objectKey{
		schema.FromAPIVersionAndKind(named.APIVersion, named.Kind),
		types.NamespacedName{Namespace: cmp.Or(named.Namespace, namespace), Name: named.Name},
	}
}

// update changes what is known of an object.
func (m *memory) update(name types.NamespacedName, change func(*remembered)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[types.NamespacedName]*remembered{}
	}
	known, ok := m.objects[name]
	if !ok {
		known = &remembered{}
		m.objects[name] = known
	}
	change(known)
}

// forget returns whether anything was known of the object.
func (m *memory) forget(name types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.objects[name]
	delete(m.objects, name)
	return known
}

// settle remembers that the outcome of an observation was fully applied.
func (m *memory) settle(name types.NamespacedName, fingerprint string, due time.Time) {
	m.update(name, func(known *remembered) {
		known.due = due
		known.fingerprint = fingerprint
		known.conflicts = 0
	})
}

// unsettle remembers that a reconcile failed, and returns how many conflicts there were in a row.
func (m *memory) unsettle(name types.NamespacedName, conflict bool) (conflicts int) {
	m.update(name, func(known *remembered) {
		known.fingerprint = ""
		if known.conflicts++; !conflict {
			known.conflicts = 0
		}
		conflicts = known.conflicts
	})
	return conflicts
}

// converged says whether the outcome of this very observation was fully applied, and nothing is due by now. Then it
// also returns when it will be.
func (m *memory) converged(name types.NamespacedName, fingerprint string, now time.Time) (due time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || known.fingerprint != fingerprint || now.After(known.due) {
		return time.Time{}, false
	}
	return known.due, true
}

// wrote remembers a write of ours; nil stands for none.
func (m *memory) wrote(name types.NamespacedName, object *unstructured.Unstructured, created bool) {
	if object != nil {
		m.expect(name, object, write{uid: object.GetUID(), version: object.GetResourceVersion(), created: created})
	}
}

// deleted remembers a deletion of ours.
func (m *memory) deleted(name types.NamespacedName, object *unstructured.Unstructured) {
	m.expect(name, object, write{uid: object.GetUID(), deleted: true})
}

func (m *memory) expect(name types.NamespacedName, object *unstructured.Unstructured, expected write) {
	m.update(name, func(known *remembered) {
		if len(known.writes) == 0 {
			known.writes, known.since = map[objectKey]write{}, time.Now()
		}
		known.writes[keyOf(object)] = expected
	})
}

// expected returns the writes that the cache has not been seen to show, and since when.
func (m *memory) expected(name types.NamespacedName) (writes map[objectKey]write, since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || len(known.writes) == 0 {
		return nil, time.Time{}
	}
	return maps.Clone(known.writes), known.since
}

// seen forgets writes that need not be waited for any more.
func (m *memory) seen(name types.NamespacedName, keys ...objectKey) {
	m.update(name, func(known *remembered) {
		for _, key := range keys {
			delete(known.writes, key)
		}
	})
}

// ChildGone tells r that the cache has seen a child of an object go, so that a write to it need not be waited for.
func (r *Reconciler) ChildGone(owner types.NamespacedName, child *unstructured.Unstructured) {
	key := keyOf(child)
	if writes, _ := r.memory.expected(owner); writes[key].uid == child.GetUID() && child.GetUID() != "" {
		r.memory.seen(owner, key)
	}
}

// unseenWrites returns how long to wait for the cache to show our own writes, 0 if it shows them. An event of the
// missing ones wakes the object before that. A cache that stays behind for too long is not waited for, since the writes'
// preconditions make a wrong one fail.
func (r *Reconciler) unseenWrites(ctx context.Context, name types.NamespacedName) time.Duration {
	writes, since := r.memory.expected(name)
	for key, expected := range writes {
		if r.shows(ctx, key, expected) {
			r.memory.seen(name, key)
			delete(writes, key)
		}
	}
	if len(writes) == 0 {
		return 0
	}
	if left := cacheTimeout - time.Since(since); left > 0 {
		return left
	}
	for key := range writes {
		logr.FromContextOrDiscard(ctx).Info("the cache does not show a write of ours in time; going on without it",
			"written", key.Kind+" "+key.NamespacedName.String(), "timeout", cacheTimeout.String())
		r.memory.seen(name, key)
	}
	return 0
}

// shows says whether the cache shows a write.
func (r *Reconciler) shows(ctx context.Context, key objectKey, expected write) bool {
	cached := &unstructured.Unstructured{}
	cached.SetGroupVersionKind(key.GroupVersionKind)
	if err := r.reader.Get(ctx, key.NamespacedName, cached); err != nil {
		return !expected.created // what was there before and is no more, is gone
	}
	if cached.GetUID() != expected.uid {
		return true // replaced by another object since
	}
	if expected.deleted {
		return cached.GetDeletionTimestamp() != nil
	}
	order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), expected.version)
	return err != nil || order >= 0
}

// event records an event unless it was recorded a short while ago.
func (r *Reconciler) event(name types.NamespacedName, object *unstructured.Unstructured, event abi.Event) {
	now, record := r.now(), false
	r.memory.update(name, func(known *remembered) {
		for old, at := range known.events {
			if now.Sub(at) > eventInterval {
				delete(known.events, old)
			}
		}
		if _, recently := known.events[event]; recently {
			return
		}
		if known.events == nil {
			known.events = map[abi.Event]time.Time{}
		}
		if len(known.events) >= maxEvents {
			return
		}
		known.events[event], record = now, true
	})
	if record {
		r.recorder.Event(object, event.Type, event.Reason, event.Message)
	}
}
