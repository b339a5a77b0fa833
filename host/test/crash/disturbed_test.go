package crash

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// chaos is all that can go wrong in a world, as often as the seed says.
type chaos struct {
	w      *world
	random *rand.Rand
	// How likely, of a hundred, it is that a call fails, that an answer is lost, that something happens during a call, and
	// that a thing that happens is a crash, or somebody else's write.
	fails, losing, meanwhile, kills, meddles int
	// nested is true while something happens during a call.
	nested bool
	// copies counts what the neighbour has made.
	copies int
}

func newChaos(w *world) *chaos {
	c := &chaos{w: w, random: w.random}
	rate := func(most int) int {
		if c.random.IntN(3) == 0 {
			return 0
		}
		return c.random.IntN(most + 1)
	}
	c.fails, c.losing, c.meanwhile, c.kills, c.meddles = rate(40), rate(30), rate(80), rate(6), rate(10)
	w.note("disturbed: %d%% of calls fail, %d%% of answers are lost, in %d%% something happens; of what happens, %d%% are crashes and %d%% writes of others",
		c.fails, c.losing, c.meanwhile, c.kills, c.meddles)
	return c
}

func (c *chaos) chance(percent int) bool { return c.random.IntN(100) < percent }

// endure lets things happen until the next step.
func (c *chaos) endure() {
	for range 5 + c.random.IntN(60) {
		c.happen()
	}
}

// happen has one thing happen.
func (c *chaos) happen() {
	h := c.w.host
	switch {
	case !h.alive:
		if c.chance(50) {
			c.w.start()
		}
	case c.chance(c.kills) && c.chance(40):
		h.kill()
	case c.chance(c.meddles):
		c.meddle()
	case c.w.plan.neighbour && c.chance(12):
		c.neighbour()
	default:
		c.proceed(h)
	}
}

// proceed lets the host get a bit further, in any of the orders that there are.
func (c *chaos) proceed(h *host) {
	switch c.random.IntN(10) {
	case 0, 1, 2:
		if kinds := h.cache.behind(); len(kinds) > 0 {
			h.show(kinds[c.random.IntN(len(kinds))])
		}
	case 3, 4, 5:
		all := h.listeners()
		all[c.random.IntN(len(all))].hear()
	case 6, 7:
		r := h.runners[c.random.IntN(len(h.runners))]
		r.work()
	case 8:
		switch c.random.IntN(8) {
		case 0:
			all := h.cache.all()
			h.relist(all[c.random.IntN(len(all))])
		case 1:
			c.w.server.CollectGarbage()
		}
	case 9:
		time.Sleep(time.Duration(c.random.IntN(200)) * time.Millisecond)
	}
}

// around has things happen while a call is on its way: calls take time.
func (c *chaos) around(by *actor) {
	if c.nested || !c.chance(c.meanwhile) {
		return
	}
	c.nested = true
	defer func() { c.nested = false }()
	for range 1 + c.random.IntN(4) {
		if by.host.alive {
			c.happen()
		}
	}
}

func (c *chaos) loses() bool { return c.chance(c.losing) }

var errBroken = errors.New("connection reset by peer")

// refusal is how a call fails that is not carried out, nil if it is.
func (c *chaos) refusal(request apiserver.Request) error {
	if !c.chance(c.fails) {
		return nil
	}
	resource := schema.GroupResource{Group: request.Kind.Group, Resource: request.Kind.Kind}
	switch c.random.IntN(5) {
	case 0:
		return apierrors.NewConflict(resource, request.Name, errors.New("somebody was faster"))
	case 1:
		return apierrors.NewTooManyRequests("slow down", 1)
	case 2:
		return apierrors.NewInternalError(errors.New("out of order"))
	case 3:
		return apierrors.NewTimeoutError("too slow", 0)
	default:
		return errBroken
	}
}

// children returns the objects that carry what makes them somebody's children.
func (w *world) children() (found []unstructuredObject) {
	for _, each := range w.objects() {
		if claimOf(each) != nil {
			found = append(found, each)
		}
	}
	return found
}

// meddle has a user do something about a child, or about an object that is reconciled.
func (c *chaos) meddle() {
	found := c.w.children()
	if len(found) == 0 {
		return
	}
	child := idOf(found[c.random.IntN(len(found))])
	switch c.random.IntN(8) {
	case 0, 1:
		c.w.removeBy("meddler", child)
	case 2:
		c.w.edit("meddler", child, func(o unstructuredObject) { o.SetOwnerReferences(nil) })
	case 3:
		c.w.edit("meddler", child, func(o unstructuredObject) { o.SetAnnotations(nil) })
	case 4:
		c.w.edit("meddler", child, func(o unstructuredObject) { o.SetLabels(map[string]string{"touched": "yes"}) })
	case 5:
		for _, parent := range c.w.parents() {
			c.w.edit("meddler", parent, func(o unstructuredObject) { o.SetLabels(map[string]string{"touched": fmt.Sprint(c.random.IntN(9))}) })
		}
	default:
		if child.Kind == "ConfigMap" {
			c.w.edit("meddler", child, says(fmt.Sprintf("meddled %d", c.random.IntN(9))))
		}
	}
}

// neighbour has another operator do something, which has objects of its own, and takes ours for such.
func (c *chaos) neighbour() {
	found := c.w.children()
	if len(found) == 0 || c.chance(25) {
		c.squat()
		return
	}
	child := found[c.random.IntN(len(found))]
	switch c.random.IntN(5) {
	case 0:
		c.copies++
		c.w.createObject("neighbour", copyOf(child, fmt.Sprintf("copy-%d", c.copies)))
	case 1:
		if child.GetKind() == "ConfigMap" {
			c.w.edit("neighbour", idOf(child), says("the neighbour's"))
		}
	case 2, 3:
		c.takeOver(idOf(child))
	case 4: // makes its own in the place of ours, and copies what is on it
		c.w.removeBy("neighbour", idOf(child))
		c.w.createObject("neighbour", copyOf(child, child.GetName()))
	}
}

// copyOf returns a new object with all that another one has, but its identity.
func copyOf(object unstructuredObject, name string) unstructuredObject {
	copied := object.DeepCopy()
	copied.SetName(name)
	copied.SetUID("")
	copied.SetResourceVersion("")
	copied.SetManagedFields(nil)
	copied.SetFinalizers(nil)
	copied.SetOwnerReferences(nil)
	return copied
}

// takeOver makes an object the neighbour's.
func (c *chaos) takeOver(id kube.ID) {
	boss := c.boss(id.Namespace)
	c.w.edit("neighbour", id, func(o unstructuredObject) {
		if c.chance(50) {
			o.SetAnnotations(nil)
		}
		o.SetOwnerReferences([]metav1.OwnerReference{boss})
	})
}

// boss returns a reference to the object that controls those of the neighbour in a namespace.
func (c *chaos) boss(namespace string) metav1.OwnerReference {
	named := id(serviceAccount, "boss")
	named.Namespace = namespace
	if namespace == "" {
		named = id(clusterRole, "boss")
	}
	if c.w.get(named) == nil {
		c.w.create("neighbour", fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: boss, namespace: %q}}", named.GroupVersion(), named.Kind, namespace))
	}
	boss := c.w.get(named)
	return metav1.OwnerReference{APIVersion: boss.GetAPIVersion(), Kind: boss.GetKind(), Name: "boss", UID: boss.GetUID(), Controller: new(true)}
}

// squat makes an object under a name that one of our children is to have.
func (c *chaos) squat() {
	for _, controller := range c.w.scenario.controllers() {
		for _, parent := range c.w.parents() {
			if !controller.reconciles(parent.GroupVersionKind) {
				continue
			}
			for _, child := range slices.SortedFunc(maps.Keys(c.w.wish(&controller, c.w.get(parent)).children), byName) {
				if child.Kind == "ConfigMap" && c.w.get(child) == nil && c.chance(50) {
					c.w.create("neighbour", fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s}, data: {its: own}}", child.Name, child.Namespace))
					return
				}
			}
		}
	}
}

// TestDisturbed runs every scenario where nothing is reliable.
func TestDisturbed(t *testing.T) { disturb(t, plan{disturbed: true}) }

// TestHostileNeighbour runs every scenario beside another operator that does all that it should not.
func TestHostileNeighbour(t *testing.T) { disturb(t, plan{disturbed: true, neighbour: true}) }

func disturb(t *testing.T, p plan) {
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds() {
				each := p
				each.seed, each.outcomes = seed, seed%2 == 0
				if tryPlan(t, scenarios[name], each); t.Failed() {
					return // one is enough to look at
				}
			}
		})
	}
}

func seeds() (all []uint64) {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	for seed := range *seedsFlag {
		all = append(all, uint64(seed+1))
	}
	return all
}

func byName(a, b kube.ID) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}
