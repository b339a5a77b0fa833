package crash

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// host is one life of the host. All that it knows goes with it.
type host struct {
	world   *world
	alive   bool
	stop    context.CancelFunc
	cache   *cache
	runners []*runner
}

// runner is one controller of a host, wired as the engine does it.
type runner struct {
	host        *host
	ctx         context.Context //nolint:containedctx // it is that of the host's life
	controller  controller
	reconcilers map[schema.GroupVersionKind]*reconcile.Reconciler
	queue       queue
	busy        map[key]bool
	listeners   []*listener
}

// listener gets the changes of a kind in their order, some time after the cache shows them.
type listener struct {
	runner  *runner
	kind    schema.GroupVersionKind
	owned   bool // the kind is one of children
	pending []change
}

// actor is who writes.
type actor struct {
	host       *host
	controller string
}

type actorKey struct{}

// start starts a new host, which knows nothing.
func (w *world) start() {
	w.note("a host starts")
	ctx, stop := context.WithCancel(context.Background())
	h := &host{world: w, alive: true, stop: stop}
	w.host = h
	var kinds []schema.GroupVersionKind
	for _, c := range w.scenario.controllers() {
		for _, kind := range c.kinds() {
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	h.cache = newCache(w, kinds)
	for _, c := range w.scenario.controllers() {
		h.runners = append(h.runners, h.run(ctx, c))
	}
	for _, each := range h.listeners() {
		for _, object := range sorted(h.cache.kinds[each.kind].objects) {
			each.pending = append(each.pending, change{object: object})
		}
		for each.hear() {
		}
	}
}

// run sets up one controller.
func (h *host) run(ctx context.Context, c controller) *runner {
	w := h.world
	ctx = context.WithValue(ctx, actorKey{}, &actor{h, c.name})
	r := &runner{host: h, ctx: ctx, controller: c, reconcilers: map[schema.GroupVersionKind]*reconcile.Reconciler{}, busy: map[key]bool{}}
	reader, writer := w.plan.fault.wrap(h.cache, w.client())
	applier := apply.New(c.name, reader, writer, c.applyOptions())
	for _, kind := range c.fors {
		settings := reconcile.Controller{Name: c.name, For: kind, Owns: c.owns, Finalize: c.finalize}
		if w.plan.outcomes {
			settings.Outcomes = w.disk.open(h, c.name)
		}
		r.reconcilers[kind.GroupVersionKind] = reconcile.New(settings, w.asked(c.name), reader, applier, recorder{h})
		r.listeners = append(r.listeners, &listener{runner: r, kind: kind.GroupVersionKind})
	}
	for _, kind := range c.owns {
		r.listeners = append(r.listeners, &listener{runner: r, kind: kind.GroupVersionKind, owned: true})
	}
	return r
}

// client returns a client of the API server. What it does fails once the context of the host's life is done.
func (w *world) client() *kube.Client {
	client, err := kube.NewClient(w.server.Config(), &http.Client{Transport: w.server}, mapper)
	if err != nil {
		panic(err)
	}
	return client
}

// kill ends the host as kill -9 does: nothing that it does afterwards has any effect.
func (h *host) kill() {
	h.world.note("the host is killed")
	h.alive = false
	h.stop()
}

// recorder notes the events that a host records.
type recorder struct{ host *host }

// Event implements reconcile.Recorder.
func (r recorder) Event(object *kube.Object, eventType, reason, message string) {
	if r.host.alive {
		r.host.world.note("event on %s: %s %s: %s", object, eventType, reason, message)
		r.host.world.events = append(r.host.world.events, event{object.UID, reason, message})
	}
}

// sees returns what the host's cache has of the object of a request, nil if it has none.
func (h *host) sees(request apiserver.Request) *kube.Object {
	of := h.cache.kinds[request.Kind]
	if of == nil {
		return nil
	}
	return of.objects[kube.ID{GroupVersionKind: request.Kind, NamespacedName: request.NamespacedName}]
}

func (h *host) listeners() (all []*listener) {
	for _, r := range h.runners {
		all = append(all, r.listeners...)
	}
	return all
}

// informed has the host learn of all changes, and returns false if there are none.
func (h *host) informed() (changed bool) {
	for _, of := range h.cache.behind() {
		if of.kind.Kind == h.world.late {
			continue
		}
		for len(of.pending) > 0 {
			h.show(of)
		}
		changed = true
	}
	for _, each := range h.listeners() {
		for each.hear() {
			changed = true
		}
	}
	return changed
}

// show has the cache show the next change of a kind.
func (h *host) show(of *watched) { h.tell(of.kind, of.next()) }

// relist has the cache read a kind anew.
func (h *host) relist(of *watched) {
	for _, each := range h.cache.relist(of) {
		h.tell(of.kind, each)
	}
}

func (h *host) tell(kind schema.GroupVersionKind, shown change) {
	for _, each := range h.listeners() {
		if each.kind == kind {
			each.pending = append(each.pending, shown)
		}
	}
}

// hear handles the next change, and returns false if there is none.
func (l *listener) hear() bool {
	if len(l.pending) == 0 {
		return false
	}
	heard := l.pending[0]
	l.pending = l.pending[1:]
	if heard.old != nil {
		l.wake(heard.old, false)
	}
	l.wake(heard.object, heard.gone)
	return true
}

// wake puts into the queue what an event of an object wakes. It is what handlers.go in the engine does.
func (l *listener) wake(object *kube.Object, gone bool) {
	if !l.owned {
		l.runner.queue.add(key{object.Kind, object.NamespacedName}, 0)
		return
	}
	for _, k := range append(l.runner.controllerOf(object), l.runner.seen(object, gone)...) {
		l.runner.queue.add(k, 0)
	}
}

// controllerOf returns the object that controls a child, if it is one that r reconciles.
func (r *runner) controllerOf(child *kube.Object) []key {
	owner := child.Controller()
	if owner == nil {
		return nil
	}
	for _, kind := range r.controller.fors {
		if kind.GroupKind() != schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind() {
			continue
		}
		name := types.NamespacedName{Name: owner.Name}
		if kind.Namespaced {
			name.Namespace = child.Namespace
		}
		return []key{{kind.GroupVersionKind, name}}
	}
	return nil
}

func (r *runner) seen(object *kube.Object, gone bool) (woken []key) {
	if r.host.world.plan.fault == deaf {
		return nil
	}
	for _, kind := range r.controller.fors {
		for _, name := range r.reconcilers[kind.GroupVersionKind].Seen(object, gone) {
			woken = append(woken, key{kind.GroupVersionKind, name})
		}
	}
	return woken
}

// work reconciles the next object whose turn it is, and returns false if there is none.
func (h *host) work() bool {
	return slices.ContainsFunc(h.runners, (*runner).work)
}

func (r *runner) work() bool {
	k, ok := r.queue.take(r.busy)
	if !ok {
		return false
	}
	r.busy[k] = true
	result, err := r.reconcilers[k.GroupVersionKind].Reconcile(r.ctx, k.NamespacedName)
	delete(r.busy, k)
	if !r.host.alive {
		return true
	}
	if r.host.world.plan.fault == forgetful {
		err, result = nil, crreconcile.Result{}
	}
	switch {
	case errors.Is(err, crreconcile.TerminalError(nil)):
	case err != nil:
		r.host.world.note("%s: %s fails: %v", r.controller.name, k.NamespacedName, err)
		r.queue.retry(k)
	case result.RequeueAfter > 0:
		r.queue.forget(k)
		r.queue.add(k, result.RequeueAfter)
	default:
		r.queue.forget(k)
	}
	return true
}

// nextTime is when the next object's turn comes.
func (h *host) nextTime() (at time.Time, ok bool) {
	for _, r := range h.runners {
		if next, some := r.queue.next(); some && (!ok || next.Before(at)) {
			at, ok = next, true
		}
	}
	return at, ok
}

// resync has the host look at all objects again, as an informer does that lists its kind anew.
func (h *host) resync() {
	for _, of := range h.cache.all() {
		h.relist(of)
	}
}
