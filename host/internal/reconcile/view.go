package reconcile

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// View is the part of a kind's objects that a module sees. What it does not see makes no difference: a change of that alone
// calls no module. The zero value shows all.
type View struct {
	// Fields are the paths of the fields that are seen, beside those that name the object. Empty: all.
	Fields []string
	// Ignore are the paths of fields that are not seen.
	Ignore []string
}

// named are the fields that no view leaves out.
var named = []string{"apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.uid"}

// all says whether the view shows all.
func (v View) all() bool { return len(v.Fields) == 0 && len(v.Ignore) == 0 }

// view returns what the module sees of children of a kind.
func (r *Reconciler) view(kind schema.GroupVersionKind) View {
	for _, owned := range r.controller.Owns {
		if owned.GroupVersionKind == kind {
			return owned.View
		}
	}
	return View{}
}

// of returns an object as the module sees it.
func (v View) of(object *kube.Object) []byte {
	shown := object.JSON
	if len(v.Fields) > 0 {
		shown = project(shown, split(append(named, v.Fields...)), true)
	}
	if len(v.Ignore) > 0 {
		shown = project(shown, split(v.Ignore), false)
	}
	return shown
}

func split(paths []string) [][]string {
	parts := make([][]string, len(paths))
	for i, path := range paths {
		parts[i] = strings.Split(path, ".")
	}
	return parts
}

// project returns an encoded object with only the fields at these paths, or with all but them.
func project(object []byte, paths [][]string, only bool) []byte {
	shown := append(make([]byte, 0, len(object)), '{')
	err := abi.Fields(object, func(name string, value json.RawMessage) error {
		whole, below := under(paths, name)
		switch {
		case whole && !only, only && !whole && len(below) == 0:
			return nil
		case !whole && len(below) > 0 && len(value) > 0 && value[0] == '{':
			value = project(value, below, only)
		case !whole && only:
			return nil // what the path leads through is no object
		}
		if len(shown) > 1 {
			shown = append(shown, ',')
		}
		shown = append(abi.AppendString(shown, name), ':')
		shown = append(shown, value...)
		return nil
	})
	if err != nil {
		return object // it was split when it came, so it does not fail now
	}
	return append(shown, '}')
}

// under returns whether one of the paths is the field of this name, and what is left of those that lead through it.
func under(paths [][]string, name string) (whole bool, below [][]string) {
	for _, path := range paths {
		switch {
		case path[0] != name:
		case len(path) == 1:
			whole = true
		default:
			below = append(below, path[1:])
		}
	}
	return whole, below
}
