package reconcile

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
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
	// names are the objects by UID, since that is what a child names that can have no owner reference.
	names map[types.UID]types.NamespacedName
	// refusals are the objects that wait for another one to go, or to be given up, by that one.
	refusals map[kube.ID][]types.NamespacedName
}

// remembered is what is known of one object.
type remembered struct {
	// uid tells the object from an earlier one of its name.
	uid types.UID
	// going is true if the object was seen to be deleted, and to wait for the controller's finalizer to be taken off.
	going bool
	// fingerprint is that of the observation whose outcome was fully applied; empty if there was none.
	fingerprint string
	// identity is that of the same observation: it tells apart only what makes a difference.
	identity Identity
	// answer is what the module answered last, as long as it is being carried out: the host's own writes may come back
	// without making another request.
	answer *answer
	// left is how the children were left when all was done about them; none as long as there is more to do.
	left sum
	// called is when the module was called last.
	called time.Time
	// due is when a requeue is due.
	due time.Time
	// conflicts is how many reconciles in a row ended in a conflict.
	conflicts int
	// writes are our own writes that the cache has not been seen to show.
	writes map[kube.ID]write
	// since is the time of the oldest of them.
	since time.Time
	// doubts are the children of which nobody knows whether they were written, and until when that matters. The empty name stands
	// for any child.
	doubts map[kube.ID]time.Time
	// events are the last events and when they were recorded.
	events map[abi.Event]time.Time
}

// write is what the cache must show: this version of the object or a later one, or that it is going.
type write struct {
	uid     types.UID
	version string
	created bool // the cache cannot have shown the object before
	deleted bool
}

// answer is the answer to a request, encoded.
type answer struct {
	request  [sha256.Size]byte
	response []byte
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

// Known returns how many objects r looks after, and how many of them are as the module wants them.
func (r *Reconciler) Known() (objects, settled int) {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	for _, known := range r.memory.objects {
		if known.fingerprint != "" {
			settled++
		}
	}
	return len(r.memory.objects), settled
}

// Names returns the objects that r looks after.
func (r *Reconciler) Names() []types.NamespacedName {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	return slices.Collect(maps.Keys(r.memory.objects))
}

// Inherit has r wait for the writes of another Reconciler of the same controller and kind, which has ended: the cache that they
// share may not show them yet. What was settled by the other one's module, this one's has to be asked again.
func (r *Reconciler) Inherit(from *Reconciler) {
	r.started = from.started
	from.memory.mu.Lock()
	defer from.memory.mu.Unlock()
	for name, known := range from.memory.objects {
		r.memory.update(name, func(heir *remembered) {
			*heir = remembered{uid: known.uid, going: known.going, writes: known.writes, since: known.since, doubts: known.doubts, events: known.events}
		})
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	r.memory.names, r.memory.refusals = from.memory.names, from.memory.refusals
}

// forget returns whether anything was known of the object.
func (m *memory) forget(name types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil {
		return false
	}
	delete(m.objects, name)
	delete(m.names, known.uid)
	m.acceptLocked(name)
	return true
}

// meet remembers which object has this name now, and returns whether it is one that was not known. What was known of an
// earlier one is forgotten.
func (m *memory) meet(name types.NamespacedName, uid types.UID) (unknown bool) {
	m.mu.Lock()
	known := m.objects[name]
	m.mu.Unlock()
	if known != nil && known.uid == uid {
		return false
	}
	m.forget(name)
	m.update(name, func(known *remembered) {
		known.uid = uid
		if m.names == nil {
			m.names = map[types.UID]types.NamespacedName{}
		}
		m.names[uid] = name
	})
	return true
}

// refused remembers that an object has to wait for another one, which is somebody else's or of which nothing says any more
// whose it is.
func (m *memory) refused(name types.NamespacedName, other kube.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusals == nil {
		m.refusals = map[kube.ID][]types.NamespacedName{}
	}
	m.refusals[other] = append(m.refusals[other], name)
}

// accept forgets that an object had to wait.
func (m *memory) accept(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acceptLocked(name)
}

func (m *memory) acceptLocked(name types.NamespacedName) {
	for other, waiting := range m.refusals {
		waiting = slices.DeleteFunc(waiting, func(waits types.NamespacedName) bool { return waits == name })
		if m.refusals[other] = waiting; len(waiting) == 0 {
			delete(m.refusals, other)
		}
	}
}

// open says whether more is to follow from an observation than was done: there are writes that the cache has not been seen
// to show, or another object is waited for. When all that is over, the same may be observed again, and is to be looked at
// again: what was written may be undone before it was seen.
func (m *memory) open(name types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.objects[name]; known != nil && (len(known.writes) > 0 || known.inDoubt() > 0) {
		return true
	}
	for _, waiting := range m.refusals {
		if slices.Contains(waiting, name) {
			return true
		}
	}
	return false
}

// waiting returns the objects that wait for another one.
func (m *memory) waiting(other kube.ID) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.refusals[other])
}

// named returns the name of an object.
func (m *memory) named(uid types.UID) (name types.NamespacedName, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, ok = m.names[uid]
	return name, ok
}

// settle remembers that the outcome of an observation was fully applied. An empty fingerprint stands for none.
func (m *memory) settle(name types.NamespacedName, fingerprint string, identity Identity, due time.Time) {
	m.update(name, func(known *remembered) {
		known.due = due
		known.fingerprint, known.identity = fingerprint, identity
		known.conflicts = 0
		if fingerprint != "" {
			known.answer = nil
		}
	})
}

// unsettle remembers that a reconcile failed, and returns how many conflicts there were in a row.
func (m *memory) unsettle(name types.NamespacedName, conflict bool) (conflicts int) {
	m.update(name, func(known *remembered) {
		known.fingerprint, known.identity, known.answer = "", Identity{}, nil
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
	if known == nil || known.fingerprint != fingerprint || !known.due.IsZero() && now.After(known.due) {
		return time.Time{}, false
	}
	return known.due, true
}

// due returns the objects of which something was due before now, and has it due again when next says.
func (m *memory) due(now time.Time, next func() time.Time) (names []types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, known := range m.objects {
		if !known.due.IsZero() && known.due.Before(now) {
			known.due = next()
			names = append(names, name)
		}
	}
	return names
}

// answered remembers the answer to the request with this hash.
func (m *memory) answered(name types.NamespacedName, request [sha256.Size]byte, response []byte) {
	m.update(name, func(known *remembered) { known.answer = &answer{request, response} })
}

// answer returns the last answer if it was to the request with this hash.
func (m *memory) answer(name types.NamespacedName, request [sha256.Size]byte) (response []byte, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || known.answer == nil || known.answer.request != request {
		return nil, false
	}
	return known.answer.response, true
}

// called remembers when the module was called for an object.
func (m *memory) called(name types.NamespacedName, at time.Time) {
	m.update(name, func(known *remembered) { known.called = at })
}

// tooSoon returns how long the module is not to be called yet for an object.
func (m *memory) tooSoon(name types.NamespacedName, now time.Time, interval time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || known.called.IsZero() {
		return 0
	}
	return max(interval-now.Sub(known.called), 0)
}

// settled says whether the outcome of an observation with this identity was fully applied.
func (m *memory) settled(name types.NamespacedName, identity Identity) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	return known != nil && known.fingerprint != "" && known.identity == identity
}

// wrote remembers a write of ours; nil stands for none.
func (m *memory) wrote(name types.NamespacedName, object *kube.Object, created bool) {
	if object != nil {
		m.expect(name, object, write{uid: object.UID, version: object.ResourceVersion, created: created})
	}
}

// deleted remembers a deletion of ours.
func (m *memory) deleted(name types.NamespacedName, object *kube.Object) {
	m.expect(name, object, write{uid: object.UID, deleted: true})
}

func (m *memory) expect(name types.NamespacedName, object *kube.Object, expected write) {
	m.update(name, func(known *remembered) {
		if len(known.writes) == 0 {
			known.writes, known.since = map[kube.ID]write{}, time.Now()
		}
		known.writes[object.ID()] = expected
	})
}

// expected returns the writes that the cache has not been seen to show, and since when.
func (m *memory) expected(name types.NamespacedName) (writes map[kube.ID]write, since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil || len(known.writes) == 0 {
		return nil, time.Time{}
	}
	return maps.Clone(known.writes), known.since
}

// seen forgets writes that need not be waited for any more.
func (m *memory) seen(name types.NamespacedName, keys ...kube.ID) {
	m.update(name, func(known *remembered) {
		for _, key := range keys {
			delete(known.writes, key)
		}
	})
}

// Seen tells r of an event of a kind that the controller owns, and returns the objects to be woken by it beside the
// object's owner: those that wait for it to go, and the owner of a child that can have no owner reference. gone is true
// if the object is gone, so that a write to it need not be waited for.
func (r *Reconciler) Seen(object *kube.Object, gone bool) []types.NamespacedName {
	woken := r.memory.waiting(object.ID())
	controller, uid, ok := apply.ClaimedBy(object)
	if !ok || controller != r.controller.Name {
		return woken
	}
	owner, ok := r.memory.named(uid)
	if !ok {
		return woken
	}
	if gone {
		r.gone(owner, object)
	}
	return append(woken, owner)
}

// gone forgets a write to an object that is gone.
func (r *Reconciler) gone(owner types.NamespacedName, child *kube.Object) {
	if writes, _ := r.memory.expected(owner); writes[child.ID()].uid == child.UID && child.UID != "" {
		r.memory.seen(owner, child.ID())
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
			"written", key.String(), "timeout", cacheTimeout.String())
		r.memory.seen(name, key)
	}
	return 0
}

// shows says whether the cache shows a write.
func (r *Reconciler) shows(ctx context.Context, key kube.ID, expected write) bool {
	cached, err := r.reader.Get(ctx, key)
	switch {
	case err != nil || cached == nil:
		return !expected.created // what was there before and is no more, is gone
	case cached.UID != expected.uid:
		return true // replaced by another object since
	case expected.deleted:
		return cached.Deleting
	}
	order, err := resourceversion.CompareResourceVersion(cached.ResourceVersion, expected.version)
	return err != nil || order >= 0
}

// event records an event unless it was recorded a short while ago.
func (r *Reconciler) event(name types.NamespacedName, object *kube.Object, event abi.Event) {
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
