package crash

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// disk is what outlives a host: the outcomes of each controller, for one version of its module.
type disk struct {
	files map[string]map[reconcile.Identity]bool
}

func newDisk() disk { return disk{map[string]map[reconcile.Identity]bool{}} }

// file is the file of outcomes that one host has open. It writes each change down at once, so that what it says is as new
// as it can be. It implements reconcile.Outcomes.
type file struct {
	host    *host
	name    string
	known   map[reconcile.Identity]bool
	settled map[key]reconcile.Identity
}

func (d disk) open(h *host, controller string) *file {
	name := controller + "@" + h.world.modules[controller].digest
	if h.world.plan.fault == indifferent {
		name = controller
	}
	return &file{h, name, d.files[name], map[key]reconcile.Identity{}}
}

// Known implements reconcile.Outcomes.
func (f *file) Known(identity reconcile.Identity) bool { return f.known[identity] }

// Settled implements reconcile.Outcomes.
func (f *file) Settled(kind reconcile.Kind, name types.NamespacedName, identity reconcile.Identity) {
	f.settled[key{kind.GroupVersionKind, name}] = identity
	f.write()
}

// Unsettled implements reconcile.Outcomes.
func (f *file) Unsettled(kind reconcile.Kind, name types.NamespacedName) {
	delete(f.settled, key{kind.GroupVersionKind, name})
	f.write()
}

func (f *file) write() {
	if !f.host.alive {
		return
	}
	written := map[reconcile.Identity]bool{}
	for _, identity := range f.settled {
		written[identity] = true
	}
	f.host.world.disk.files[f.name] = written
}
