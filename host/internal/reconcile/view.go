package reconcile

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// View is the part of a kind's objects that a module sees. What it does not see makes no difference: a change of that alone
// calls no module. The zero value shows all.
type View struct {
	// Fields are the paths of the fields that are seen, beside those that name the object. Empty: all.
	Fields []string
	// Ignore are the paths of fields that are not seen.
	Ignore []string
}

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
		shown = object.Only(v.Fields)
	}
	if len(v.Ignore) > 0 {
		shown = kube.Without(shown, v.Ignore)
	}
	return shown
}
