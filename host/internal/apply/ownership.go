package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// AnnotationOwnedBy says whose child an object is: CONTROLLER/OWNER UID/KIND/NAMESPACE/NAME. The last three name the
	// object itself, so that a copy of the annotation on another object proves nothing.
	AnnotationOwnedBy = "wasmloop.dev/owned-by"
	// AnnotationApplied is a hash of what was last applied, so that it need not be applied again.
	AnnotationApplied = "wasmloop.dev/applied"
)

// FieldManager is the field manager of a controller.
func FieldManager(controller string) string { return managerPrefix + controller }

const managerPrefix = "wasmloop/"

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
func OwnerOf(controller string, object client.Object) Owner {
	return Owner{controller, object.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(object), object.GetUID()}
}

// claim is the value that AnnotationOwnedBy has on a child of o.
func (o Owner) claim(child client.Object) string {
	return strings.Join([]string{
		o.Controller, string(o.UID), child.GetObjectKind().GroupVersionKind().Kind, child.GetNamespace(), child.GetName(),
	}, "/")
}

// ClaimedBy returns the controller and the owner's UID that an object's annotation names, if it names the object
// itself.
func ClaimedBy(object client.Object) (controller string, owner types.UID, ok bool) {
	parts := strings.Split(object.GetAnnotations()[AnnotationOwnedBy], "/")
	if len(parts) != 5 || parts[2] != object.GetObjectKind().GroupVersionKind().Kind ||
		parts[3] != object.GetNamespace() || parts[4] != object.GetName() {
		return "", "", false
	}
	return parts[0], types.UID(parts[1]), true
}

// Owns says whether child is proven to be a child of o: it carries our annotation, and the owner is its controller.
func (o Owner) Owns(child client.Object) bool {
	controller := metav1.GetControllerOfNoCopy(child)
	return child.GetAnnotations()[AnnotationOwnedBy] == o.claim(child) && controller != nil && controller.UID == o.UID
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

// holder says whose an existing object is, as seen from o. An object whose annotation or owner reference was taken away
// is still the owner's by the other of the two, together with what the field manager owns of it.
func (o Owner) holder(existing *unstructured.Unstructured, manager string) holder {
	controller := metav1.GetControllerOfNoCopy(existing)
	claimed := existing.GetAnnotations()[AnnotationOwnedBy]
	ours := claimed == o.claim(existing)
	switch {
	case controller != nil && controller.UID != o.UID && controller.Kind == o.Kind.Kind && controller.Name == o.Name:
		return holder{
			heldByOther, fmt.Sprintf("an earlier %s %s", controller.Kind, controller.Name), "it is about to be deleted with that",
		}
	case controller != nil && controller.UID != o.UID:
		return holder{heldByOther, fmt.Sprintf("%s %s, its controller", controller.Kind, controller.Name), otherName}
	case ours:
		return holder{kind: heldByOwner}
	case controller == nil:
		return holder{kind: heldByNobody}
	case managedFields(existing, manager, "") != nil:
		return holder{kind: heldByOwner}
	case claimed != "":
		return holder{heldByOther, "controller " + strings.SplitN(claimed, "/", 2)[0], otherName}
	default:
		return holder{heldByOther, "another controller of the same owner", otherName}
	}
}

// stamp completes a desired child: without status and nulls, with owner reference and annotations. It returns the
// value of AnnotationApplied.
func (o Owner) stamp(child *unstructured.Unstructured) (hash string, err error) {
	delete(child.Object, "status")
	dropNulls(child.Object)
	moveStringData(child)
	child.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: o.Kind.GroupVersion().String(),
		Kind:       o.Kind.Kind,
		Name:       o.Name,
		UID:        o.UID,
		Controller: new(true),
	}})
	annotations := child.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationOwnedBy] = o.claim(child)
	child.SetAnnotations(annotations)
	encoded, err := json.Marshal(child.Object)
	if err != nil {
		return "", fmt.Errorf("cannot encode it: %w", err)
	}
	sum := sha256.Sum256(encoded)
	hash = hex.EncodeToString(sum[:16])
	annotations[AnnotationApplied] = hash
	child.SetAnnotations(annotations)
	return hash, nil
}

var secretKind = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

// moveStringData does with a Secret's stringData what the API server does: it is only a way to write data, and the server
// does not say of it when somebody has changed what came of it.
func moveStringData(child *unstructured.Unstructured) {
	plain, isObject := child.Object["stringData"].(map[string]any)
	data, hasData := child.Object["data"].(map[string]any)
	if child.GroupVersionKind() != secretKind || !isObject || !hasData && child.Object["data"] != nil {
		return // whatever is wrong with it, the API server says so
	}
	moved := maps.Clone(data)
	if moved == nil {
		moved = map[string]any{}
	}
	for key, value := range plain {
		text, ok := value.(string)
		if !ok {
			return
		}
		moved[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	child.Object["data"] = moved
	delete(child.Object, "stringData")
}

// dropNulls removes null fields: they say the same as absent ones, and nobody could own them.
func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if item == nil {
				delete(v, key)
			} else {
				dropNulls(item)
			}
		}
	case []any:
		for _, item := range v {
			dropNulls(item)
		}
	}
}
