package crash

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// wish is what a module wants for an object as it is on the API server, asked by the test and not by the host.
type wish struct {
	parent unstructuredObject
	// failed is true if the module gives no answer that is of use.
	failed bool
	answer *abi.Response
	// children are the wanted ones, kept the others that are to stay.
	children map[kube.ID]map[string]any
	kept     map[kube.ID]bool
}

func (w *wish) wants(child kube.ID) bool { return w.children[child] != nil || w.kept[child] }

// wish asks the module that the controller has now.
func (w *world) wish(c *controller, parent unstructuredObject) *wish {
	wanted := &wish{parent: parent, failed: true, children: map[kube.ID]map[string]any{}, kept: map[kube.ID]bool{}}
	answer, err := w.modules[c.name].call(w.request(c, parent))
	if err != nil {
		return wanted
	}
	if wanted.answer, err = abi.DecodeResponse(answer); err != nil || wanted.answer.Error != nil {
		return wanted
	}
	wanted.failed = false
	for _, child := range wanted.answer.Children {
		wanted.children[placed(c, child.Reference(), parent)] = child
	}
	for _, kept := range wanted.answer.Keep {
		wanted.kept[placed(c, kept, parent)] = true
	}
	return wanted
}

// placed names a child, in the namespace of its parent unless it says otherwise.
func placed(c *controller, named abi.Reference, parent unstructuredObject) kube.ID {
	child := kube.ID{
		GroupVersionKind: schema.FromAPIVersionAndKind(named.APIVersion, named.Kind),
		NamespacedName:   types.NamespacedName{Namespace: named.Namespace, Name: named.Name},
	}
	if kind := c.owned(child.GroupVersionKind); kind != nil && kind.Namespaced && child.Namespace == "" {
		child.Namespace = parent.GetNamespace()
	}
	return child
}

// request is what the module of a controller is asked, by what there is on the API server.
func (w *world) request(c *controller, parent unstructuredObject) []byte {
	asked := abi.Request{Controller: c.name, Object: w.parse(parent).JSON, Children: abi.Objects{}}
	for _, kind := range c.owns {
		asked.Children[abi.KindKey(kind.GroupVersion().String(), kind.Kind.Kind)] = map[string]json.RawMessage{}
	}
	for _, child := range w.claimed(c.name, parent.GetUID()) {
		byName := asked.Children[abi.KindKey(child.GetAPIVersion(), child.GetKind())]
		byName[abi.NameKey(child.GetNamespace(), child.GetName())] = w.parse(child).JSON
	}
	return asked.AppendJSON(nil)
}

// claimed returns the objects that say that they are a controller's children of an object.
func (w *world) claimed(controller string, owner types.UID) (found []unstructuredObject) {
	for _, each := range w.objects() {
		if says := claimOf(each); says != nil && says.controller == controller && says.owner == owner && w.belongs(controller, each) && !w.unproven(each) {
			found = append(found, each)
		}
	}
	return found
}

// check says what is not as it must be when the host has nothing left to do.
func (w *world) check(when string) {
	known := len(w.violations)
	for _, c := range w.scenario.controllers() {
		for _, parent := range w.parents() {
			live := w.get(parent)
			if live.GetDeletionTimestamp() == nil && c.reconciles(parent.GroupVersionKind) {
				w.checkParent(&c, live)
			}
		}
	}
	w.checkOrphans()
	for i := known; i < len(w.violations); i++ {
		w.violations[i] += " (" + when + ")"
	}
}

// checkParent compares what a module wants for an object with what there is.
func (w *world) checkParent(c *controller, parent unstructuredObject) {
	wanted := w.wish(c, parent)
	if wanted.failed {
		return // what there is stays as it is; that nothing is touched is seen when it is
	}
	wrong := false
	for id, child := range wanted.children {
		fault, excused := w.checkChild(c, parent, id, child)
		if fault != "" {
			w.violate("%s of %s: %s", id, parent.GetName(), fault)
		}
		wrong = wrong || excused || fault != ""
	}
	if wanted.answer.Children != nil && !wrong {
		wrong = w.checkOthers(c, parent, wanted)
	}
	if !wrong {
		w.checkSelf(c, parent, wanted)
	}
}

// checkChild says what is wrong with a wanted child. It is excused if it cannot be as it should, and the parent's events say
// so.
func (w *world) checkChild(c *controller, parent unstructuredObject, id kube.ID, child map[string]any) (wrong string, excused bool) {
	live := w.get(id)
	kind := c.owned(id.GroupVersionKind)
	switch {
	case w.excused[id.Name] && (!w.plan.disturbed || w.reported(parent, id) == ""):
		return w.reported(parent, id), true
	case live == nil:
		return "it is not there", false
	case !w.belongs(c.name, live):
		return w.reported(parent, id), true
	case live.GetDeletionTimestamp() != nil:
		return "", true // it hangs
	case w.plan.disturbed && checkOwner(c, parent, live, kind.Options) != "" && w.reported(parent, id) == "":
		return "", true // others have taken a proof away, and what is left is not enough to mend it
	case kind.Options.Strategy != apply.OnDelete:
		if wrong := within("", child, live.Object); wrong != "" {
			return wrong, false
		}
	}
	return checkOwner(c, parent, live, kind.Options), false
}

// releasing is what an event has that says how an object is let go that cannot go otherwise.
type releaseAdvice struct{}

func (releaseAdvice) String() string { return "wasmloop release" }

var releasing releaseAdvice

// reported says whether an event of the parent names a child that is refused, or what else may be wrong.
func (w *world) reported(parent unstructuredObject, child fmt.Stringer) string {
	if slices.ContainsFunc(w.events, func(e event) bool {
		return e.object == parent.GetUID() && strings.Contains(e.message, child.String())
	}) {
		return ""
	}
	return "it is refused, and no event says so"
}

// checkOwner says whether a child names its owner, in both ways.
func checkOwner(c *controller, parent, child unstructuredObject, options apply.KindOptions) string {
	if says := claimOf(child); says == nil || says.controller != c.name || says.owner != parent.GetUID() {
		return "its annotation does not name its owner: " + child.GetAnnotations()[apply.AnnotationOwnedBy]
	}
	reaches := parent.GetNamespace() == "" || parent.GetNamespace() == child.GetNamespace()
	wanted := 0
	if reaches && !options.Orphan {
		wanted = 1
	}
	references := 0
	for _, owner := range child.GetOwnerReferences() {
		if owner.UID == parent.GetUID() && (owner.Controller != nil && *owner.Controller) != options.NotController {
			references++
		}
	}
	if references != wanted {
		return fmt.Sprintf("%d owner references lead to its owner, want %d", references, wanted)
	}
	return ""
}

// checkOthers looks for children that nobody wants, and returns true if they may be there since the brake has stopped all.
func (w *world) checkOthers(c *controller, parent unstructuredObject, wanted *wish) (braked bool) {
	var left []string
	for _, child := range w.claimed(c.name, parent.GetUID()) {
		if !wanted.wants(idOf(child)) && child.GetDeletionTimestamp() == nil {
			left = append(left, idOf(child).String())
		}
	}
	if c.maxPrune > 0 && len(left) > c.maxPrune {
		return true
	}
	if len(left) > 0 {
		w.violate("nobody wants the children %s of %s", left, parent.GetName())
	}
	return false
}

// checkSelf looks at what the module wants of the object itself.
func (w *world) checkSelf(c *controller, parent unstructuredObject, wanted *wish) {
	if wrong := within("status", map[string]any(wanted.answer.Status), field(parent, "status")); wanted.answer.Status != nil && wrong != "" {
		w.violate("%s: %s", parent.GetName(), wrong)
	}
	for name, values := range map[string]map[string]*string{"labels": wanted.answer.Labels, "annotations": wanted.answer.Annotations} {
		for key, value := range values {
			got := field(parent, "metadata", name, key)
			if value == nil && got != nil || value != nil && got != *value {
				w.violate("%s: %s of the %s is %v", parent.GetName(), key, name, got)
			}
		}
	}
	held := slices.Contains(parent.GetFinalizers(), apply.Finalizer(c.name))
	if needs := w.needsFinalizer(c, parent, wanted); wanted.answer.Children != nil && held != needs {
		w.violate("%s has the finalizer: %t, needs it: %t", parent.GetName(), held, needs)
	}
}

// needsFinalizer says whether something is to be done before an object may go.
func (w *world) needsFinalizer(c *controller, parent unstructuredObject, wanted *wish) bool {
	if c.finalize {
		return true
	}
	stays := func(id kube.ID) bool {
		return parent.GetNamespace() != "" && parent.GetNamespace() != id.Namespace && !c.owned(id.GroupVersionKind).Options.Orphan
	}
	for id := range wanted.children {
		if stays(id) {
			return true
		}
	}
	return slices.ContainsFunc(w.claimed(c.name, parent.GetUID()), func(child unstructuredObject) bool { return stays(idOf(child)) })
}

// checkOrphans looks for children whose owner is gone.
func (w *world) checkOrphans() {
	owners := map[types.UID]bool{}
	for _, parent := range w.parents() {
		owners[w.get(parent).GetUID()] = true
	}
	for _, each := range w.objects() {
		says := claimOf(each)
		if says == nil || owners[says.owner] || w.unproven(each) || !w.belongs(says.controller, each) || w.excused[each.GetName()] {
			continue
		}
		c := w.scenario.controller(says.controller)
		if kind := c.owned(each.GroupVersionKind()); kind == nil || !kind.Options.Orphan {
			w.violate("%s is left, and its owner is gone", idOf(each))
		}
	}
}

// checkGone looks at what is left when all parents were deleted.
func (w *world) checkGone() {
	for _, parent := range w.parents() {
		if w.reported(w.get(parent), releasing) != "" {
			w.violate("%s does not go: its finalizers are %q", parent, w.get(parent).GetFinalizers())
		}
	}
	w.checkOrphans()
}

// troubled says whether anything is wrong that the host keeps trying to mend.
func (w *world) troubled() bool {
	for _, r := range w.host.runners {
		if len(r.queue.failures) > 0 {
			return true
		}
	}
	return false
}

// unproven says whether others have taken the owner reference off a child, and it has not been put back.
func (w *world) unproven(child unstructuredObject) bool {
	return w.stripped[idOf(child)] && len(child.GetOwnerReferences()) == 0
}
