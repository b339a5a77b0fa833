package render

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// claim takes those objects for children that the answer for an object has among its children, and that nobody owns. In a
// cluster they would be refused; here somebody has written them down as what the controller has made.
func (p *Plan) claim(outcome *Outcome) (claimed bool) {
	for _, child := range outcome.Answer().Children {
		id := p.childID(child.Reference(), outcome.ID.Namespace)
		if p.unclaimed[id] && p.claims[id].Name == "" {
			p.claims[id] = outcome.ID
			claimed = true
		}
	}
	return claimed
}

// findUnclaimed finds the objects that say of nobody that they are his, of kinds that children may have.
func (p *Plan) findUnclaimed() {
	p.unclaimed = map[kube.ID]bool{}
	for _, object := range p.objects {
		claims := len(object.GetOwnerReferences()) > 0 || object.GetAnnotations()[apply.AnnotationOwnedBy] != ""
		if !claims && (p.madeUp || p.owns(object.GroupVersionKind())) {
			p.unclaimed[IDOf(object)] = true
		}
	}
}

// ownerOf returns the reconciled object whose child an object is, if it is one of the controller's.
func (p *Plan) ownerOf(object Object) (owner kube.ID, ok bool) {
	if owner, ok = p.claims[IDOf(object)]; ok {
		return owner, true
	}
	if !p.owns(object.GroupVersionKind()) {
		return owner, false
	}
	if mark := strings.Split(object.GetAnnotations()[apply.AnnotationOwnedBy], "/"); len(mark) > 1 {
		return p.marked(mark[0], types.UID(mark[1]))
	}
	reference := metav1.GetControllerOfNoCopy(object)
	if reference == nil {
		return owner, false
	}
	for _, kind := range p.fors {
		if kind.GroupKind() != schema.FromAPIVersionAndKind(reference.APIVersion, reference.Kind).GroupKind() {
			continue
		}
		owner = kube.ID{GroupVersionKind: kind.GroupVersionKind}
		owner.Name = reference.Name
		if kind.Namespaced {
			owner.Namespace = object.GetNamespace()
		}
		return owner, p.has(owner)
	}
	return owner, false
}

// marked returns the object of this UID, or the only one that is reconciled.
func (p *Plan) marked(controller string, uid types.UID) (owner kube.ID, ok bool) {
	if controller != p.entry.Name {
		return owner, false
	}
	for _, object := range p.objects {
		if object.GetUID() == uid && p.reconciles(object.GroupVersionKind()) {
			return IDOf(object), true
		}
	}
	if p.only != nil {
		return *p.only, true
	}
	return owner, false
}

func (p *Plan) owns(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(p.entry.Owns, func(owned config.Owned) bool { return owned.Schema().GroupKind() == kind.GroupKind() })
}

func (p *Plan) has(id kube.ID) bool {
	return slices.ContainsFunc(p.objects, func(object Object) bool { return IDOf(object) == id })
}
