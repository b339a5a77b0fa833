package apply

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

const (
	// AnnotationOwnedBy says whose child an object is: CONTROLLER/OWNER UID/KIND/NAMESPACE/NAME. The last three name the
	// object itself, so that a copy of the annotation on another object proves nothing.
	AnnotationOwnedBy = "wasmloop.dev/owned-by"
	// AnnotationApplied is a hash of what was last applied, so that it need not be applied again.
	AnnotationApplied = "wasmloop.dev/applied"
)

// FieldManager is the field manager of a controller.
func FieldManager(controller string) string { return kube.ManagerPrefix + controller }

// Owner is an object on whose behalf a controller applies children.
type Owner struct {
	// Controller is the controller's name.
	Controller string
	// Kind, Name, Namespace and UID are the object's.
	Kind schema.GroupVersionKind
	types.NamespacedName
	UID types.UID
}

// OwnerOf returns the owner that object is to the children of a controller.
func OwnerOf(controller string, object *kube.Object) Owner {
	return Owner{controller, object.Kind, object.NamespacedName, object.UID}
}

// claim is the value that AnnotationOwnedBy has on a child of o.
func (o Owner) claim(child kube.ID) string {
	return strings.Join([]string{o.Controller, string(o.UID), child.Kind, child.Namespace, child.Name}, "/")
}

// ClaimedBy returns the controller and the owner's UID that an object's annotation names, if it names the object
// itself.
func ClaimedBy(object *kube.Object) (controller string, owner types.UID, ok bool) {
	parts := strings.Split(object.Mark(AnnotationOwnedBy), "/")
	if len(parts) != 5 || parts[2] != object.Kind.Kind || parts[3] != object.Namespace || parts[4] != object.Name {
		return "", "", false
	}
	return parts[0], types.UID(parts[1]), true
}

// Reaches says whether an owner reference to o may be on a child: Kubernetes knows none that leads into another
// namespace, or from a cluster-scoped object to a namespaced one.
func (o Owner) Reaches(child types.NamespacedName) bool {
	return o.Namespace == "" || o.Namespace == child.Namespace
}

// reference is the owner reference of a child, nil if it has none: where Kubernetes does not allow it, and where the
// child must outlive its owner.
func (o Owner) reference(child kube.ID, kind KindOptions) *metav1.OwnerReference {
	if kind.Orphan || !o.Reaches(child.NamespacedName) {
		return nil
	}
	reference := &metav1.OwnerReference{APIVersion: o.Kind.GroupVersion().String(), Kind: o.Kind.Kind, Name: o.Name, UID: o.UID}
	if !kind.NotController {
		reference.Controller = new(true)
	}
	return reference
}

// Owns says whether child is proven to be a child of o: it carries our annotation, nobody else controls it, and it has
// the owner reference that children of its kind have. Where they have none, our field manager must own something of it:
// somebody may have made the object anew under its name, with a copy of its annotations.
func (o Owner) Owns(child *kube.Object, kind KindOptions) bool {
	controller := child.Controller()
	if child.Mark(AnnotationOwnedBy) != o.claim(child.ID()) || controller != nil && controller.UID != o.UID {
		return false
	}
	if o.reference(child.ID(), kind) == nil {
		return child.Manages(FieldManager(o.Controller), "")
	}
	return o.refers(child)
}

// refers says whether child has an owner reference to o.
func (o Owner) refers(child *kube.Object) bool {
	return slices.ContainsFunc(child.Owners, func(owner kube.Owner) bool { return owner.UID == o.UID })
}

type holderKind int

const (
	heldByOwner holderKind = iota
	heldByNobody
	heldByOther
)

// holder says whose an object is.
type holder struct {
	kind   holderKind
	name   string // of another holder
	advice string // what to do about it
}

const otherName = "choose another name"

// holder says whose an existing object is, as seen from o. Of its annotation, its owner reference and what the field manager
// owns of it, any two prove that it is the owner's, so that it still is when others have taken one away, and is not when
// they have copied the annotation onto what they have made.
func (o Owner) holder(existing *kube.Object, manager string) holder {
	controller := existing.Controller()
	claimed := existing.Mark(AnnotationOwnedBy)
	ours := claimed == o.claim(existing.ID())
	managed := existing.Manages(manager, "")
	switch {
	case controller != nil && controller.UID != o.UID && controller.Kind == o.Kind.Kind && controller.Name == o.Name:
		return holder{
			heldByOther, fmt.Sprintf("an earlier %s %s", controller.Kind, controller.Name), "it is about to be deleted with that",
		}
	case controller != nil && controller.UID != o.UID:
		return holder{heldByOther, fmt.Sprintf("%s %s, its controller", controller.Kind, controller.Name), otherName}
	case ours && (managed || o.refers(existing)), managed && o.refers(existing):
		return holder{kind: heldByOwner}
	case controller == nil && (ours || !claimsItself(existing)):
		return holder{kind: heldByNobody}
	case claimed != "" && controller == nil:
		return holder{
			heldByOther, "controller " + strings.SplitN(claimed, "/", 2)[0],
			otherName + ", or take its annotation " + AnnotationOwnedBy + " away if nobody needs it",
		}
	case claimed != "":
		return holder{heldByOther, "controller " + strings.SplitN(claimed, "/", 2)[0], otherName}
	default:
		return holder{heldByOther, "another controller of the same owner", otherName}
	}
}

// claimsItself says whether an object without a controller is the child of somebody who cannot be its controller.
func claimsItself(object *kube.Object) bool {
	_, _, ok := ClaimedBy(object)
	return ok
}
