package reconcile

import (
	"crypto/sha256"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// Identity tells an observation from all others: what the module may know, and what of it the host alone sees.
type Identity [sha256.Size]byte

// Outcomes remembers, longer than the process lives, of which observations nothing followed: neither a write nor an
// event. It holds for one module, one config entry and one version of the host. A reconcile is a pure function, so what
// came to nothing once comes to nothing again, and the module need not be called to know it.
type Outcomes interface {
	// Known says whether it is remembered of an observation.
	Known(identity Identity) bool
	// Settled remembers it of the last observation of an object.
	Settled(kind Kind, name types.NamespacedName, identity Identity)
	// Unsettled forgets what is remembered of an object.
	Unsettled(kind Kind, name types.NamespacedName)
}

// identify returns the identity of an observation and the request that it leads to. Of children that the module does not
// see all of, what it does not see counts too, but for the status: it may have to be put back.
func (r *Reconciler) identify(observed *observation, request []byte) Identity {
	hash := sha256.New()
	_, _ = hash.Write(request) // a hash takes all
	// Two requests may look the same though the one lacks what was not asked for yet, and the other what is not there. Only of
	// the second it is known whom the missing objects wake.
	_, _ = hash.Write([]byte(encodeRules(observed.asked)))
	state := strconv.AppendBool(make([]byte, 0, 4<<10), r.holds(observed.object)) // which the module may not see
	state = observed.object.AppendHostState(state)
	for _, child := range observed.children {
		state = child.AppendHostState(state)
		if !r.view(child.Kind).all() {
			state = append(state, kube.Without(child.JSON, []string{"status"})...)
		}
	}
	_, _ = hash.Write(state)
	return Identity(hash.Sum(nil))
}

// remembers says whether outcomes are remembered at all: with a clock the request is another one each time.
func (r *Reconciler) remembers() bool { return r.controller.Outcomes != nil && !r.controller.Clock }

// knownOutcome says whether nothing is known to follow from an observation.
func (r *Reconciler) knownOutcome(name types.NamespacedName, identity Identity) bool {
	if !r.remembers() || !r.controller.Outcomes.Known(identity) {
		return false
	}
	r.controller.Outcomes.Settled(r.controller.For, name, identity)
	return true
}

// noteOutcome remembers what followed from an observation.
func (r *Reconciler) noteOutcome(name types.NamespacedName, identity Identity, nothing bool) {
	switch {
	case !r.remembers():
	case nothing:
		r.controller.Outcomes.Settled(r.controller.For, name, identity)
	default:
		r.controller.Outcomes.Unsettled(r.controller.For, name)
	}
}
