package reconcile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// neighbourhood is an object of ours with a child, and another operator beside it.
type neighbourhood struct {
	*bench
	kind Kind
	// child is the name of our child.
	child types.NamespacedName
}

// runtimeClass is a cluster-scoped kind with an immutable field, of which there are few objects.
var runtimeClass = Kind{GroupVersionKind: schema.GroupVersionKind{Group: "node.k8s.io", Version: "v1", Kind: "RuntimeClass"}}

// wants returns an answer that wants the child. One version of it cannot be changed into another: the type of a Secret
// and the handler of a RuntimeClass are immutable.
func (n *neighbourhood) wants(version string) string {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(n.kind.GroupVersionKind)
	object.SetName(n.child.Name)
	object.SetNamespace(n.child.Namespace)
	object.SetLabels(map[string]string{"version": version})
	object.Object[map[Kind]string{secret: "type", runtimeClass: "handler"}[n.kind]] = version
	encoded, err := object.MarshalJSON()
	if err != nil {
		n.t.Fatal(err)
	}
	return `{"children":[` + strings.TrimSpace(string(encoded)) + `]}`
}

// ways are the ways in which a child is kept.
func ways() map[string]struct {
	kind    Kind
	abroad  bool
	options apply.KindOptions
} {
	return map[string]struct {
		kind    Kind
		abroad  bool
		options apply.KindOptions
	}{
		"here":                      {secret, false, apply.KindOptions{}},
		"here, recreated":           {secret, false, apply.KindOptions{Strategy: apply.Recreate}},
		"here, made when deleted":   {secret, false, apply.KindOptions{Strategy: apply.OnDelete}},
		"here, left behind":         {secret, false, apply.KindOptions{Orphan: true}},
		"here, not as controller":   {secret, false, apply.KindOptions{NotController: true}},
		"abroad":                    {secret, true, apply.KindOptions{}},
		"cluster-scoped, recreated": {runtimeClass, false, apply.KindOptions{Strategy: apply.Recreate}},
	}
}

// neighbourhoods returns one for each way, whose child was made and seen.
func neighbourhoods(t *testing.T, adopt bool) map[string]*neighbourhood {
	t.Helper()
	all := map[string]*neighbourhood{}
	for name, way := range ways() {
		b := newBench(t, Controller{For: thing, Owns: anywhere(way.options, way.kind)}, func(options *apply.Options) { options.Adopt = adopt })
		n := &neighbourhood{bench: b, kind: way.kind, child: b.called("a")}
		switch {
		case !way.kind.Namespaced:
			n.child = types.NamespacedName{Name: b.name.Namespace}
		case way.abroad:
			n.child.Namespace = newNamespace(t)
		}
		n.settle(n.wants("x"))
		n.reconcileOnce()
		n.did()
		all[name] = n
	}
	return all
}

// controlledByNeighbour are the owner references of what the neighbour looks after.
func controlledByNeighbour() []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Neighbour", Name: "n", UID: "neighbour", Controller: new(true)}}
}

// copyTo makes an object of the neighbour's with all the metadata of our child that one can copy.
func (n *neighbourhood) copyTo(name string, owners []metav1.OwnerReference) {
	n.t.Helper()
	ours := n.raw(n.kind, n.child)
	theirs := &unstructured.Unstructured{Object: map[string]any{}}
	theirs.SetGroupVersionKind(ours.GroupVersionKind())
	theirs.SetName(name)
	theirs.SetNamespace(ours.GetNamespace())
	theirs.SetLabels(ours.GetLabels())
	theirs.SetAnnotations(ours.GetAnnotations())
	theirs.SetOwnerReferences(owners)
	n.complete(theirs)
	if name == n.child.Name {
		n.delete(n.kind, n.child)
	}
	if err := api.Create(n.t.Context(), theirs, client.FieldOwner("neighbour")); err != nil {
		n.t.Fatal(err)
	}
}

// complete gives an object of the neighbour's the field that its kind must have.
func (n *neighbourhood) complete(object *unstructured.Unstructured) {
	if n.kind == runtimeClass {
		object.Object["handler"] = "theirs"
	}
}

// editChild has the neighbour change our child.
func (n *neighbourhood) editChild(change func(child *unstructured.Unstructured)) {
	n.t.Helper()
	child := n.raw(n.kind, n.child)
	change(child)
	if err := api.Update(n.t.Context(), child, client.FieldOwner("neighbour")); err != nil {
		n.t.Fatal(err)
	}
}

// TestHostileNeighbour has another operator that knows all our marks and uses them: nothing of its own is ever changed or
// deleted, whatever is wanted and whatever comes after.
func TestHostileNeighbour(t *testing.T) {
	tests := map[string]struct {
		reason string
		adopt  bool
		act    func(n *neighbourhood)
		own    string // what the name of its object has more than that of our child
	}{
		"copies all our metadata": {
			reason: "a copy names another object than itself, so it proves nothing",
			act:    func(n *neighbourhood) { n.copyTo(n.child.Name+"-copy", n.raw(n.kind, n.child).GetOwnerReferences()) },
			own:    "-copy",
		},
		"copies our metadata onto what it controls": {
			reason: "it is controlled by another",
			adopt:  true,
			act:    func(n *neighbourhood) { n.copyTo(n.child.Name+"-copy", controlledByNeighbour()) },
			own:    "-copy",
		},
		"makes our child's name its own": {
			reason: "without adopt, what is nobody's is left alone",
			act: func(n *neighbourhood) {
				n.delete(n.kind, n.child)
				object := &unstructured.Unstructured{}
				object.SetGroupVersionKind(n.kind.GroupVersionKind)
				object.SetName(n.child.Name)
				object.SetNamespace(n.child.Namespace)
				n.complete(object)
				if err := api.Create(n.t.Context(), object, client.FieldOwner("neighbour")); err != nil {
					n.t.Fatal(err)
				}
			},
		},
		"makes our child's name its own, with our metadata": {
			reason: "the copied annotation names the object, and yet it is controlled by another",
			adopt:  true,
			act:    func(n *neighbourhood) { n.copyTo(n.child.Name, controlledByNeighbour()) },
		},
		"makes our child's name its own, with our annotations and nobody's control": {
			reason: "nothing else says that we made it, and what is nobody's is left alone",
			act:    func(n *neighbourhood) { n.copyTo(n.child.Name, nil) },
		},
		"takes our child": {
			reason: "it is controlled by another",
			adopt:  true,
			act: func(n *neighbourhood) {
				n.editChild(func(child *unstructured.Unstructured) { child.SetOwnerReferences(controlledByNeighbour()) })
			},
		},
		"takes our child, and our annotations off": {
			reason: "it is controlled by another",
			adopt:  true,
			act: func(n *neighbourhood) {
				n.editChild(func(child *unstructured.Unstructured) {
					child.SetOwnerReferences(controlledByNeighbour())
					child.SetAnnotations(nil)
				})
			},
		},
		"takes our child, beside us": {
			reason: "one object has one controller: a reference of ours that is none gives way",
			adopt:  true,
			act: func(n *neighbourhood) {
				n.editChild(func(child *unstructured.Unstructured) {
					owners := child.GetOwnerReferences()
					for i := range owners {
						owners[i].Controller = nil
					}
					child.SetOwnerReferences(append(owners, controlledByNeighbour()...))
				})
			},
		},
		"takes all our marks off": {
			reason: "without adopt, what is nobody's is left alone",
			act: func(n *neighbourhood) {
				n.editChild(func(child *unstructured.Unstructured) {
					child.SetOwnerReferences(nil)
					child.SetAnnotations(nil)
				})
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for way, n := range neighbourhoods(t, tt.adopt) {
				t.Run(way, func(t *testing.T) {
					n.t = t
					tt.act(n)
					n.lives(tt.reason, types.NamespacedName{Namespace: n.child.Namespace, Name: n.child.Name + tt.own})
				})
			}
		})
	}
}

// lives goes through all that may happen to our object, and looks at one of the neighbour's after each.
func (n *neighbourhood) lives(reason string, own types.NamespacedName) {
	n.t.Helper()
	before := n.observe(n.kind, own)
	phases := []struct {
		what   string
		answer string
		before func()
	}{
		{"nothing", n.wants("x"), func() {}},
		{"another version is wanted", n.wants("y"), func() { n.resize(2) }},
		{"no opinion", `{}`, func() { n.resize(3) }},
		{"none is wanted", `{"children":[]}`, func() { n.resize(4) }},
		{"it is wanted again", n.wants("x"), func() { n.resize(5) }},
		{"the object is deleted", `{}`, func() { n.delete(thing, n.name) }},
	}
	for _, phase := range phases {
		phase.before()
		n.answer = phase.answer
		for range 2 { // one for what is deleted, one for what comes after it
			_, _ = n.Reconcile(n.t.Context(), n.name) // a refusal is as it should be
		}
		if diff := cmp.Diff(before, n.observe(n.kind, own), exported); diff != "" {
			n.t.Errorf("%s: %s: -before +after:\n%s", phase.what, reason, diff)
		}
	}
	if found := n.observe(thing, n.name); found != nil {
		n.t.Errorf("and our object is not held by it: found %v", found.Finalizers)
	}
}

// showChanged has a frozen cache show a change of our object.
func (n *neighbourhood) showChanged() {
	object := *n.observe(thing, n.name)
	object.ResourceVersion += "0"
	n.cache.show(&object)
}

// TestHostileNeighbourUnseen has a neighbour that takes our child while the cache shows it as it was: what is changed,
// deleted or let go must be as it was seen.
func TestHostileNeighbourUnseen(t *testing.T) {
	ends := map[string]func(n *neighbourhood){
		"none is wanted": func(n *neighbourhood) {
			n.showChanged()
			n.answer = `{"children":[]}`
		},
		"another version is wanted": func(n *neighbourhood) {
			n.showChanged()
			n.answer = n.wants("y")
		},
		"the object is deleted": func(n *neighbourhood) {
			n.edit(thing, n.name, func(object map[string]any) {
				finalizers := append(n.finalizers(), "example.com/hold") // so that it stays to be looked at
				object["metadata"].(map[string]any)["finalizers"] = finalizers
			})
			n.delete(thing, n.name)
			n.cache.show(n.observe(thing, n.name))
		},
	}
	for end, happens := range ends {
		t.Run(end, func(t *testing.T) {
			for way, n := range neighbourhoods(t, false) {
				t.Run(way, func(t *testing.T) {
					n.t = t
					n.cache.freeze(t, "", thing, n.kind)
					n.editChild(func(child *unstructured.Unstructured) { child.SetOwnerReferences(controlledByNeighbour()) })
					before := []*kube.Object{n.observe(n.kind, n.child)}
					happens(n)
					_, _ = n.Reconcile(t.Context(), n.name) // that it is a conflict is other tests' business
					if diff := cmp.Diff(before, []*kube.Object{n.observe(n.kind, n.child)}, exported); diff != "" {
						t.Errorf("-before +after:\n%s", diff)
					}
				})
			}
		})
	}
}

// TestBusyNeighbour changes what is ours, and adds what is its own: the one is put back, the other stays.
func TestBusyNeighbour(t *testing.T) {
	for way, n := range neighbourhoods(t, false) {
		t.Run(way, func(t *testing.T) {
			n.t = t
			n.editChild(func(child *unstructured.Unstructured) {
				child.SetLabels(map[string]string{"version": "theirs", "theirs": "1"})
				annotations := child.GetAnnotations()
				annotations["theirs"] = "2"
				child.SetAnnotations(annotations)
				child.SetFinalizers([]string{"example.com/theirs"})
				owner := controlledByNeighbour()[0]
				owner.Controller = nil
				child.SetOwnerReferences(append(child.GetOwnerReferences(), owner))
			})
			n.resize(2)
			n.reconcileOnce()
			found := n.raw(n.kind, n.child)
			version := "x"
			if strings.Contains(way, "made when deleted") {
				version = "theirs" // until somebody has deleted it
			}
			if diff := cmp.Diff(map[string]string{"version": version, "theirs": "1"}, found.GetLabels()); diff != "" {
				t.Errorf("labels: -want +got:\n%s", diff)
			}
			owners := found.GetOwnerReferences()
			got := []any{found.GetAnnotations()["theirs"], found.GetFinalizers(), owners[len(owners)-1].UID}
			if diff := cmp.Diff([]any{"2", []string{"example.com/theirs"}, types.UID("neighbour")}, got); diff != "" {
				t.Errorf("what is its own: -want +got:\n%s", diff)
			}
		})
	}
}
