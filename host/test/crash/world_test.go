package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// plan says how a scenario is run.
type plan struct {
	// seed is what all choices come from.
	seed uint64
	// crashes are the writes at which the host is killed.
	crashes []crash
	// disturbed says that nothing is reliable before the last step has been made.
	disturbed bool
	// neighbour is true if another operator works against the host meanwhile.
	neighbour bool
	// outcomes is true if what the host remembers in files survives.
	outcomes bool
	// fault is what is wrong with the host on purpose.
	fault fault
}

// crash is a moment at which the host is killed.
type crash struct {
	// write is the number of a write of the host's, from 1.
	write int
	point point
}

// point is when, about a write, the host is killed.
type point string

// The points.
const (
	// before: the write never gets to the API server.
	before point = "before"
	// after: the write is done, and the host never hears of it.
	after point = "after"
	// away is like after, and the host is started again only when the next step has been made.
	away point = "away"
)

// report is what came of a run.
type report struct {
	// writes is how many writes the host has made, and clean how many of them before the last checks.
	writes, clean int
	// violations are what was wrong, in the order in which it was seen.
	violations []string
	// trace is what happened.
	trace []string
}

// world is all there is in one run.
type world struct {
	scenario *scenario
	plan     plan
	random   *rand.Rand
	server   *apiserver.Server
	host     *host
	disk     disk
	ledger   ledger
	chaos    *chaos // nil: all goes well
	// module is what answers for each controller. A scenario may replace it.
	modules map[string]module
	// down keeps a host that was killed from being started again.
	down bool
	// refuses is what admission says of a write to an object. nil: all is admitted.
	refuses func(object unstructuredObject) error
	// ahead is called before each write of the host's, behind after it. They stand for others who are fast.
	ahead, behind func(request apiserver.Request)
	// late is the kind that the host's cache does not follow, and lost says that the answer to the write that was just made
	// never arrives.
	late string
	lost bool
	// excused are the names of children that cannot be as they should, and of what stays when its owner goes.
	excused map[string]bool
	// stripped are the children whose owner references others have taken away. If they are not wanted any more before they
	// get them back, nothing proves whose they are.
	stripped map[kube.ID]bool
	// seen are all objects as they were at seenAt.
	seen   []unstructuredObject
	seenAt int64
	// parsed are the objects as the host's caches have them, by resourceVersion.
	parsed map[int64]*kube.Object

	writes     int
	events     []event
	violations []string
	trace      []string
}

// event is an event that a host has recorded.
type event struct {
	object          types.UID
	reason, message string
}

// carryOut runs a scenario as planned.
func carryOut(t *testing.T, s *scenario, p plan) (r report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(s, p)
		if err != nil {
			t.Error(err)
			return
		}
		w.play()
		r.writes, r.violations, r.trace = w.writes, w.violations, w.trace
		r.clean = w.ledger.clean
	})
	return r
}

func newWorld(s *scenario, p plan) (*world, error) {
	w := &world{
		scenario: s, plan: p, random: rand.New(rand.NewPCG(p.seed, 1)),
		ledger: newLedger(), disk: newDisk(), modules: map[string]module{}, parsed: map[int64]*kube.Object{},
		excused: map[string]bool{}, stripped: map[kube.ID]bool{},
	}
	for _, c := range s.controllers() {
		w.modules[c.name] = c.module
	}
	var err error
	w.server, err = apiserver.New(apiserver.Options{
		CRDs: []*apiextensionsv1.CustomResourceDefinition{thingCRD, realmCRD}, Intercept: w.intercept, Admit: w.admit,
	})
	return w, err
}

// play makes the steps of the scenario, and checks what came of each.
func (w *world) play() {
	w.create("", "{apiVersion: v1, kind: Namespace, metadata: {name: other}}")
	if w.plan.disturbed {
		w.chaos = newChaos(w)
	}
	w.start()
	for i := range w.scenario.steps {
		step := &w.scenario.steps[i]
		w.note("step: %s", step.name)
		step.do(w)
		w.restart()
		if w.chaos != nil {
			w.chaos.endure()
			continue
		}
		if step.between {
			continue
		}
		w.settle(step.patience())
		if !w.down { // or else what is wrong is wrong only until the next step
			w.check(step.name)
		}
	}
	w.end()
}

// end looks at the world when all is over: it must have come to rest, and when all parents are deleted, nothing is left.
func (w *world) end() {
	w.chaos = nil
	w.restart()
	w.settle(longest)
	w.check("the end")
	w.ledger.clean = w.writes
	w.rests("a resync", func() { w.host.resync() })
	w.rests("a restart", func() { w.host.kill(); w.start() })
	w.note("all parents are deleted")
	for _, parent := range w.parents() {
		w.unhang(parent)
		w.remove(parent)
	}
	w.settle(longest)
	if w.down {
		w.restart()
		w.settle(longest)
	}
	w.checkGone()
}

// rests checks that something causes no writes when all is as it should be.
func (w *world) rests(what string, do func()) {
	w.note("%s", what)
	written := w.ledger.effective
	requested := w.writes
	do()
	w.settle(prompt)
	switch {
	case w.ledger.effective != written:
		w.violate("%s causes %d writes", what, w.ledger.effective-written)
	case w.writes != requested && !w.troubled():
		w.violate("%s causes %d requests that write", what, w.writes-requested)
	}
}

// How long, in the world's time, the host is given to come to rest. prompt is too short for what is woken by nothing but
// time-outs.
const (
	prompt  = 4 * time.Second
	longest = 20 * time.Minute
	// tooMany is how many things may happen before the world is taken never to come to rest.
	tooMany = 20_000
)

// settle lets the world run until nothing is left to be done within patience.
func (w *world) settle(patience time.Duration) {
	deadline := time.Now().Add(patience)
	for range tooMany {
		if w.advance() {
			continue
		}
		next, ok := w.nextTime()
		if !ok || next.After(deadline) {
			return
		}
		time.Sleep(time.Until(next))
	}
	w.violate("the world does not come to rest")
}

// advance does the next thing that is to be done now, and returns false if there is none.
func (w *world) advance() bool {
	if w.host == nil || !w.host.alive {
		if w.down {
			return w.server.CollectGarbage() > 0
		}
		w.start()
		return true
	}
	return w.host.informed() || w.host.work() || w.server.CollectGarbage() > 0
}

func (w *world) nextTime() (time.Time, bool) {
	if w.host == nil || !w.host.alive {
		return time.Time{}, false
	}
	return w.host.nextTime()
}

// restart starts a host that was left dead.
func (w *world) restart() {
	w.down = false
	if w.host == nil || !w.host.alive {
		w.start()
	}
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) violate(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	w.note("VIOLATION: %s", message)
	w.violations = append(w.violations, message)
}

var errKilled = errors.New("the host is dead")

// intercept stands between the host and the API server. Users are not hindered.
func (w *world) intercept(ctx context.Context, request apiserver.Request, do func() error) error {
	by, ok := ctx.Value(actorKey{}).(*actor)
	if !ok || !request.Verb.Writes() {
		return do()
	}
	if !by.host.alive {
		return errKilled
	}
	w.writes++
	number := w.writes
	decided := by.host.sees(request)
	if w.chaos != nil {
		w.chaos.around(by) //nolint:contextcheck // a host that starts meanwhile has a life of its own
	}
	if w.crashes(by, number, before) {
		return errKilled
	}
	if w.ahead != nil {
		w.ahead(request)
	}
	refused := w.refusal(request)
	if refused == nil {
		refused = w.watched(by, decided, request, do)
	}
	w.note("%s: write %d: %s%s", by.controller, number, describe(request), orError(refused))
	if w.behind != nil && refused == nil {
		w.behind(request)
	}
	if w.lost {
		w.note("the answer is lost")
		w.lost, refused = false, errLost
	}
	if w.crashes(by, number, after) || w.crashes(by, number, away) {
		return errKilled
	}
	if w.chaos != nil {
		w.chaos.around(by) //nolint:contextcheck // a host that starts meanwhile has a life of its own
		if by.host.alive && w.chaos.loses() {
			w.note("the answer is lost")
			return errLost
		}
	}
	if !by.host.alive {
		return errKilled
	}
	return refused
}

// refusal is how the API server fails before it looks at a request.
func (w *world) refusal(request apiserver.Request) error {
	if w.chaos != nil {
		return w.chaos.refusal(request)
	}
	return nil
}

// crashes kills the host if it is to be killed at this point.
func (w *world) crashes(by *actor, write int, at point) bool {
	for _, planned := range w.plan.crashes {
		if planned.write == write && planned.point == at {
			by.host.kill()
			w.down = at == away
		}
	}
	return !by.host.alive
}

func (w *world) admit(_ context.Context, _ apiserver.Request, object, _ unstructuredObject) error {
	if w.refuses == nil || object == nil {
		return nil
	}
	return w.refuses(object)
}

func describe(request apiserver.Request) string {
	name := kube.ID{GroupVersionKind: request.Kind, NamespacedName: request.NamespacedName}.String()
	if request.Subresource != "" {
		name += "/" + request.Subresource
	}
	return fmt.Sprintf("%s %s", request.Verb, name)
}

func orError(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// objects returns all objects. They must not be changed.
func (w *world) objects() []unstructuredObject {
	if version := w.server.Version(); version != w.seenAt || w.seen == nil {
		w.seen, w.seenAt = w.server.Objects(), version
	}
	return w.seen
}
