package reconcile

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// sum is a hash. The zero value stands for none.
type sum [sha256.Size]byte

// split parts an encoded answer into a sum of what it says of children and the rest of it. There is no sum of what cannot be parted.
func split(response []byte) (wanted sum, rest []byte) {
	hash := sha256.New()
	err := abi.Fields(response, func(name string, value json.RawMessage) error {
		if name == "children" || name == "keep" {
			hash.Write([]byte(name))
			hash.Write(value)
			return nil
		}
		quoted, err := json.Marshal(name)
		rest = append(append(append(append(rest, ','), quoted...), ':'), value...)
		return err
	})
	if err != nil {
		return sum{}, nil
	}
	hash.Sum(wanted[:0])
	if len(rest) == 0 {
		return wanted, []byte("{}")
	}
	rest[0] = '{'
	return wanted, append(rest, '}')
}

// leftAs returns a sum of an answer about children and the versions of all that there are. As long as it is the same, nothing is
// to be done about children that was not done.
func leftAs(wanted sum, children []*kube.Object) sum {
	if wanted == (sum{}) {
		return sum{}
	}
	text := wanted[:]
	for _, child := range slices.SortedFunc(slices.Values(children), compareUIDs) {
		text = appendVersion(text, child)
	}
	return sha256.Sum256(text)
}

// left returns leftAs of what was observed.
func (o *observation) left() sum { return leftAs(o.wanted, o.children) }

// leftAfter returns leftAs of what will be observed when the cache shows what was done; none if that cannot be told.
func (o *observation) leftAfter(applied, pruned []apply.Change) sum {
	left := slices.DeleteFunc(slices.Clone(o.children), func(child *kube.Object) bool {
		isChild := func(change apply.Change) bool { return change.ID == child.ID() }
		return slices.ContainsFunc(applied, isChild) || slices.ContainsFunc(pruned, isChild)
	})
	for _, change := range applied {
		object := change.Object
		switch change.Action {
		case apply.Created, apply.Applied:
		case apply.Unchanged:
			object = o.child(change.ID)
		default:
			return sum{}
		}
		if object == nil {
			return sum{}
		}
		left = append(left, object)
	}
	return leftAs(o.wanted, left)
}

// isLeft says whether children are as they were left.
func (m *memory) isLeft(name types.NamespacedName, as sum) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	return known != nil && known.left == as && as != sum{}
}

// leave remembers how children were left.
func (m *memory) leave(name types.NamespacedName, as sum) {
	m.update(name, func(known *remembered) { known.left = as })
}
