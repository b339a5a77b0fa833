package crash

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// ledger is what is known of each object from the writes to it, and from nothing that the host says.
type ledger struct {
	// makers are the controllers that have made an object or taken it over as they may, by its UID.
	makers map[types.UID]string
	// effective is how many writes of the host's have changed something, and clean how many writes there were before the
	// last checks.
	effective, clean int
}

func newLedger() ledger { return ledger{makers: map[types.UID]string{}} }

// watched carries a write of the host's out, and judges what it has changed.
// decided is what the host saw of the object when it decided to write.
func (w *world) watched(by *actor, decided *kube.Object, request apiserver.Request, do func() error) error {
	version := w.server.Version()
	err := do()
	for _, each := range w.server.Changes(version) {
		w.ledger.effective++
		if wrong := w.judge(by, decided, request, each); wrong != "" {
			w.violate("%s: %s of %s: %s", by.controller, request.Verb, idOf(each.Object), wrong)
		}
	}
	return err
}

// judge says what is wrong with a change that a controller has made, by what the object was on the API server just before.
func (w *world) judge(by *actor, decided *kube.Object, request apiserver.Request, made apiserver.Change) string {
	switch {
	case isParent(made.Object.GroupVersionKind()):
		return judgeParent(request, made)
	case made.Old == nil:
		w.ledger.makers[made.Object.GetUID()] = by.controller
		if claim := claimOf(made.Object); claim == nil || claim.controller != by.controller {
			return "it makes an object that does not say whose it is"
		}
		return ""
	case w.belongs(by.controller, made.Old):
		return w.judgeDeletion(by, made)
	case w.mayAdopt(by.controller, made.Old) && made.Type == watch.Modified:
		w.ledger.makers[made.Object.GetUID()] = by.controller
		return ""
	case made.Type == watch.Modified && w.justBared(by, decided, made.Old):
		return ""
	}
	return "the object is somebody else's"
}

// judgeParent says whether a write to a reconciled object changes nothing but what a host may.
func judgeParent(request apiserver.Request, made apiserver.Change) string {
	switch {
	case request.Verb == apiserver.Delete:
		return "it deletes a reconciled object"
	case made.Old == nil:
		return "it makes a reconciled object"
	case !reflect.DeepEqual(made.Old.Object["spec"], made.Object.Object["spec"]):
		return "it changes the spec of a reconciled object: " + cmp.Diff(made.Old.Object["spec"], made.Object.Object["spec"])
	case !reflect.DeepEqual(others(made.Old), others(made.Object)):
		return "it changes finalizers of others"
	}
	return ""
}

func others(object unstructuredObject) []string {
	left := []string{}
	for _, finalizer := range object.GetFinalizers() {
		if !strings.HasPrefix(finalizer, apply.FinalizerPrefix) {
			left = append(left, finalizer)
		}
	}
	return left
}

// judgeDeletion says whether a child is deleted that its parent wants, although the host could know that.
func (w *world) judgeDeletion(by *actor, made apiserver.Change) string {
	deletes := made.Type == watch.Deleted || made.Old.GetDeletionTimestamp() == nil && made.Object.GetDeletionTimestamp() != nil
	if !deletes || w.plan.disturbed || w.scenario.recreates {
		return ""
	}
	c, says := w.scenario.controller(by.controller), claimOf(made.Object)
	for _, parent := range w.parents() {
		live := w.get(parent)
		if live.GetDeletionTimestamp() != nil || says == nil || says.owner != live.GetUID() {
			continue
		}
		if wish := w.wish(c, live); wish.wants(idOf(made.Object)) {
			return "it deletes a child that is wanted"
		}
	}
	return ""
}

// belongs says whether an object is a child of the controller's: it has made it or taken it over, what says so is on it still,
// and nobody else controls it.
func (w *world) belongs(controller string, object unstructuredObject) bool {
	if w.ledger.makers[object.GetUID()] != controller {
		return false
	}
	controlled := metav1.GetControllerOfNoCopy(object)
	if controlled != nil && !strings.HasPrefix(controlled.APIVersion, "crash.test/") {
		return false
	}
	claim := claimOf(object)
	return claim != nil && claim.controller == controller || slices.ContainsFunc(object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return strings.HasPrefix(owner.APIVersion, "crash.test/")
	})
}

// justBared says whether an object of the controller's is nobody's since a moment ago, which the host had not seen when it
// decided to write. It may take it for its own then, as it would have done before that moment.
func (w *world) justBared(by *actor, decided *kube.Object, object unstructuredObject) bool {
	return decided != nil && decided.UID == object.GetUID() && decided.ResourceVersion != object.GetResourceVersion() &&
		w.ledger.makers[object.GetUID()] == by.controller && metav1.GetControllerOfNoCopy(object) == nil
}

// mayAdopt says whether the controller may take over an object, which is nobody's.
func (w *world) mayAdopt(controller string, object unstructuredObject) bool {
	c := w.scenario.controller(controller)
	says := claimOf(object)
	return c.adopt && metav1.GetControllerOfNoCopy(object) == nil && (says == nil || says.controller == controller)
}

// claim is what the annotation of a child says.
type claim struct {
	controller string
	owner      types.UID
}

// claimOf returns what an object says whose child it is, nil if it says nothing, or says it of another object.
func claimOf(object unstructuredObject) *claim {
	parts := strings.Split(object.GetAnnotations()["wasmloop.dev/owned-by"], "/")
	if len(parts) != 5 || parts[2] != object.GetKind() || parts[3] != object.GetNamespace() || parts[4] != object.GetName() {
		return nil
	}
	return &claim{parts[0], types.UID(parts[1])}
}

// within says what of wanted an object has not: every field must be there, and lists must be as long.
func within(path string, wanted, got any) string {
	switch wanted := wanted.(type) {
	case map[string]any:
		fields, _ := got.(map[string]any)
		for name, value := range wanted {
			if value == nil {
				continue
			}
			if wrong := within(path+"."+name, value, fields[name]); wrong != "" {
				return wrong
			}
		}
		return ""
	case []any:
		items, _ := got.([]any)
		if len(items) != len(wanted) {
			return fmt.Sprintf("%s has %d items, want %d", path, len(items), len(wanted))
		}
		for i := range wanted {
			if wrong := within(fmt.Sprintf("%s[%d]", path, i), wanted[i], items[i]); wrong != "" {
				return wrong
			}
		}
		return ""
	}
	if fmt.Sprint(wanted) != fmt.Sprint(got) {
		return fmt.Sprintf("%s is %v, want %v", path, got, wanted)
	}
	return ""
}

func field(object unstructuredObject, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...)
	return value
}
