package crash

import (
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// scenario is what happens in a world, and why it is worth a look.
type scenario struct {
	reason string
	// change changes the controller of the scenario. several replaces it by others.
	change  func(*controller)
	several []controller
	steps   []step
	// recreates is true if children are deleted though they are wanted, to be made anew.
	recreates bool
}

// step is what users, or others, do when the host has come to rest.
type step struct {
	name string
	do   func(w *world)
	// between is true if the host gets no time before the next step.
	between bool
	// slow is true if nothing wakes the host but the time.
	slow bool
}

func (s *step) patience() time.Duration {
	if s.slow {
		return longest
	}
	return prompt
}

func (s *scenario) controllers() []controller {
	if s.several != nil {
		return s.several
	}
	return []controller{tester(s.change)}
}

func (s *scenario) controller(name string) *controller {
	for _, c := range s.controllers() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// wants is a step in which a user wants of the Thing p something else.
func wants(name string, children ...string) step {
	return step{name: name, do: func(w *world) { w.wants("p", list(children...)) }}
}

// list is an answer with these children.
func list(children ...string) string { return "children: [" + strings.Join(children, ", ") + "]" }

func child(apiVersion, kind, name, more string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s%s}}", apiVersion, kind, name, more)
}

// cm is a ConfigMap that says something.
func cm(name, text string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {text: %s}}", name, text)
}

func secretOf(name, secretType string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s}, type: %s}", name, secretType)
}

// abroad is a ConfigMap in another namespace.
func abroad(name, text string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: other}, data: {text: %s}}", name, text)
}

func serviceOf(name string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s}, spec: {selector: {app: %s}, ports: [{port: 80}]}}", name, name)
}

func roleOf(name string) string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: %s}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}", name)
}

func does(name string, do func(w *world)) step { return step{name: name, do: do} }

func answers(name, answer string) step {
	return does(name, func(w *world) { w.wants("p", answer) })
}

func removes(name string, id kube.ID) step {
	return does(name, func(w *world) { w.remove(id) })
}

func edits(name string, id kube.ID, change func(unstructuredObject)) step {
	return does(name, func(w *world) { w.edit(user, id, change) })
}

// then makes the next step follow at once.
func then(s step) step {
	s.between = true
	return s
}

// later gives the host the time that it needs without being woken.
func later(s step) step {
	s.slow = true
	return s
}

func says(text string) func(unstructuredObject) {
	return func(o unstructuredObject) { o.Object["data"] = map[string]any{"text": text} }
}

func hangs(o unstructuredObject) { o.SetFinalizers(append(o.GetFinalizers(), foreignFinalizer)) }

func frees(o unstructuredObject) { without(o, foreignFinalizer) }

// bare takes from a child what says whose it is.
func bare(o unstructuredObject) {
	o.SetOwnerReferences(nil)
	o.SetAnnotations(nil)
}

var errQuota = errors.New("exceeded quota: no more of these")

// quota refuses new objects of a name.
func quota(name string) func(*world) {
	return func(w *world) {
		w.excused[name] = true
		w.refuses = func(o unstructuredObject) error {
			if o.GetName() != name {
				return nil
			}
			return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, name, errQuota)
		}
	}
}

func noQuota(w *world) { w.refuses, w.excused = nil, map[string]bool{} }

func twoControllers() []controller {
	named := func(name string) controller {
		return tester(func(c *controller) { c.name, c.module = name, each })
	}
	return []controller{named("left"), named("right")}
}

func both(left, right string) func(*world) {
	return func(w *world) {
		w.specify(id(thing, "p"), "left", value(left))
		w.specify(id(thing, "p"), "right", value(right))
	}
}

func realms(c *controller) { c.fors = []reconcile.Kind{realm} }

func somebody(o unstructuredObject) {
	o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "boss", UID: "no-such", Controller: new(true)}})
}

// scenarios is all that is tried.
var scenarios = map[string]*scenario{
	"create": {
		reason: "the most usual thing of all",
		steps:  []step{answers("made", list(cm("a", "one"), cm("b", "one"), serviceOf("s"))+"\nstatus: {ready: true}")},
	},
	"spec change": {
		reason: "what differs is written, and nothing else",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), wants("one changes", cm("a", "one"), cm("b", "two")),
			wants("both change", cm("a", "three"), cm("b", "three")),
		},
	},
	"children come and go": {
		reason: "what is wanted no longer goes, and a new name is another child",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), wants("one more", cm("a", "one"), cm("b", "one"), cm("c", "one")),
			wants("renamed", cm("a", "one"), cm("bb", "one"), cm("cc", "one")), wants("none"), wants("again", cm("a", "one")),
		},
	},
	"ranks": {
		reason: "children of several kinds are made in order and pruned in reverse",
		steps: []step{
			wants("made", child("v1", "ServiceAccount", "sa", ""), secretOf("x", "Opaque"), cm("a", "one"), serviceOf("s")),
			wants("half", cm("a", "one"), serviceOf("s2")), wants("none"),
		},
	},
	"keep": {
		reason: "what is to stay just as it is, stays",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")),
			answers("kept", list(cm("b", "two"))+"\nkeep: [{apiVersion: v1, kind: ConfigMap, name: a}]"),
			edits("kept and edited", id(configMap, "a"), says("edited")), wants("kept no more", cm("b", "two")),
		},
	},
	"absent children": {
		reason: "no opinion is not the same as none",
		steps: []step{
			wants("made", cm("a", "one")), answers("no opinion", "status: {opinion: none}"),
			removes("deleted by a user", id(configMap, "a")), wants("wanted again", cm("a", "two")),
		},
	},
	"status, labels and annotations": {
		reason: "one write must not undo another's",
		steps: []step{
			answers("made", list(cm("a", "one"))+"\nstatus: {ready: true, count: 1}\nlabels: {l: x}\nannotations: {a: x, b: x}"),
			answers("changed", list(cm("a", "one"))+"\nstatus: {ready: false}\nlabels: {l: y}\nannotations: {a: null, b: y}"),
			edits("undone by a user", id(thing, "p"), func(o unstructuredObject) { o.SetLabels(map[string]string{"l": "z", "own": "z"}) }),
			answers("status without children", "status: {ready: maybe}"),
		},
	},
	"deleted": {
		reason: "children go with their parent, without the host",
		steps:  []step{wants("made", cm("a", "one"), cm("b", "one")), removes("deleted", id(thing, "p"))},
	},
	"deleted and made again": {
		reason: "the children of the old one must not be taken for those of the new one",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), then(removes("deleted", id(thing, "p"))), wants("made again", cm("a", "one"), cm("c", "one")),
		},
	},
	"deleted and made again abroad": {
		reason: "with a finalizer the old one has to go first",
		steps: []step{
			wants("made", cm("a", "one"), abroad("x", "one")), removes("deleted", id(thing, "p")), wants("made again", cm("a", "one"), abroad("x", "two")),
		},
	},
	"children abroad": {
		reason: "a child that can have no owner reference needs a finalizer, as long as there is one",
		steps: []step{
			wants("made", cm("a", "one"), abroad("x", "one"), roleOf("r")), wants("changed", cm("a", "one"), abroad("x", "two")),
			wants("no longer", cm("a", "one")), wants("again", abroad("x", "three")), removes("deleted", id(thing, "p")),
		},
	},
	"a child abroad is deleted": {
		reason: "without an owner reference its owner must be woken all the same",
		steps: []step{
			wants("made", abroad("x", "one"), roleOf("r")), removes("deleted by a user", elsewhere(configMap, "x")),
			removes("deleted by a user, too", id(clusterRole, "r")), edits("edited", elsewhere(configMap, "x"), says("edited")),
		},
	},
	"a child abroad hangs": {
		reason: "its owner is let go only when it is gone",
		steps: []step{
			wants("made", abroad("x", "one")), edits("held", elsewhere(configMap, "x"), hangs), removes("deleted", id(thing, "p")),
			edits("freed", elsewhere(configMap, "x"), frees),
		},
	},
	"the finalizer is taken away": {
		reason: "whoever does it, takes the children upon himself; nothing else suffers",
		steps: []step{
			wants("made", cm("a", "one"), abroad("x", "one")),
			does("given up", func(w *world) {
				w.excused["x"] = true
				w.host.kill()
				w.edit(user, id(thing, "p"), func(o unstructuredObject) { o.SetFinalizers(nil) })
				w.remove(id(thing, "p"))
			}),
			wants("another", cm("a", "one"), abroad("y", "one")),
		},
	},
	"the finalizer is taken away by mistake": {
		reason: "it is put back as long as it is needed",
		steps: []step{
			wants("made", cm("a", "one"), abroad("x", "one")),
			edits("taken", id(thing, "p"), func(o unstructuredObject) { o.SetFinalizers(nil) }),
		},
	},
	"a cluster-scoped parent": {
		reason: "its children may be anywhere, with an owner reference",
		change: realms,
		steps: []step{
			does("made", func(w *world) { w.specify(id(realm, "p"), "answer", value(list(abroad("x", "one"), roleOf("r")))) }),
			does("changed", func(w *world) { w.specify(id(realm, "p"), "answer", value(list(abroad("y", "two"), roleOf("r")))) }),
			removes("deleted", id(realm, "p")),
		},
	},
	"finalize": {
		reason: "the module has several things to do, one after the other, before the object goes",
		change: func(c *controller) { c.finalize, c.module = true, counting },
		steps: []step{
			wants("made", cm("a", "one"), abroad("x", "one")), wants("changed", cm("b", "two"), abroad("x", "one")), removes("deleted", id(thing, "p")),
		},
	},
	"orphan": {
		reason: "what is to be left behind is let go, and not deleted",
		change: keeping(secret, apply.KindOptions{Orphan: true}),
		steps: []step{
			wants("made", cm("a", "one"), secretOf("left", "Opaque"), secretOf("later", "Opaque")), wants("one is let go", cm("a", "one"), secretOf("later", "Opaque")),
			removes("deleted", id(thing, "p")),
		},
	},
	"recreate": {
		reason:    "an immutable field needs a new child",
		change:    keeping(secret, apply.KindOptions{Strategy: apply.Recreate}),
		recreates: true,
		steps: []step{
			wants("made", secretOf("x", "Opaque"), cm("a", "one")), wants("changed", secretOf("x", "example.com/other"), cm("a", "two")),
		},
	},
	"recreate while it hangs": {
		reason:    "it is made anew when the old one is gone, and not sooner",
		change:    keeping(secret, apply.KindOptions{Strategy: apply.Recreate}),
		recreates: true,
		steps: []step{
			wants("made", secretOf("x", "Opaque")), edits("held", id(secret, "x"), hangs),
			wants("changed", secretOf("x", "example.com/other"), cm("a", "two")), edits("freed", id(secret, "x"), frees),
		},
	},
	"immutable": {
		reason: "without leave to recreate, the refusal is said and the others go on",
		steps: []step{
			wants("made", secretOf("x", "Opaque"), cm("a", "one")),
			does("changed", func(w *world) {
				w.excused["x"] = true
				w.wants("p", list(secretOf("x", "example.com/other"), cm("a", "two")))
			}),
			does("changed back", func(w *world) {
				if !w.plan.disturbed { // or else it may have been made only when it was wrong
					delete(w.excused, "x")
				}
				w.wants("p", list(secretOf("x", "Opaque"), cm("a", "two")))
			}),
		},
	},
	"on delete": {
		reason: "a child is as it was made until somebody deletes it",
		change: keeping(configMap, apply.KindOptions{Strategy: apply.OnDelete}),
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), wants("changed", cm("a", "two"), cm("b", "two")), removes("deleted by a user", id(configMap, "a")),
			wants("one no longer", cm("b", "two")),
		},
	},
	"not a controller": {
		reason: "an owner reference that says nothing of control is as good, for events too",
		change: keeping(configMap, apply.KindOptions{NotController: true}),
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), edits("edited", id(configMap, "a"), says("edited")), removes("deleted by a user", id(configMap, "b")),
			edits("its annotations are taken away", id(configMap, "a"), func(o unstructuredObject) { o.SetAnnotations(nil) }),
			wants("one no longer", cm("b", "one")), removes("deleted", id(thing, "p")),
		},
	},
	"adopt": {
		reason: "what is nobody's is taken over if that is asked for",
		change: func(c *controller) { c.adopt = true },
		steps: []step{
			then(does("there before", func(w *world) {
				w.create("", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {text: old, more: stays}}")
			})),
			wants("wanted", cm("a", "one"), cm("b", "one")), wants("no longer", cm("b", "one")),
		},
	},
	"adopt what is going": {
		reason: "what is nobody's and hangs is made anew when it is gone",
		change: func(c *controller) { c.adopt = true },
		steps: []step{
			then(does("there before", func(w *world) {
				w.create("", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default, finalizers: [example.com/slow]}, data: {text: old}}")
				w.remove(id(configMap, "a"))
				w.excused["a"] = true
			})),
			wants("wanted", cm("b", "one")),
			does("and the other", func(w *world) { w.wants("p", list(cm("b", "one"), cm("a", "one"))); w.waits("a") }),
			does("gone", func(w *world) { delete(w.excused, "a"); w.edit(user, id(configMap, "a"), frees) }),
		},
	},
	"refused": {
		reason: "what is somebody's is not touched, and when it goes, its name is ours",
		steps: []step{
			then(does("there before", func(w *world) {
				w.create("", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {text: theirs}}")
			})),
			wants("wanted", cm("a", "one"), cm("b", "one")), removes("it goes", id(configMap, "a")),
		},
	},
	"refused, then given up": {
		reason: "it is not waited for any more",
		steps: []step{
			wants("made", cm("old", "one")),
			does("there before", func(w *world) {
				w.create("", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {text: theirs}}")
			}),
			wants("wanted", cm("a", "one"), cm("b", "one")), wants("another name", cm("c", "one"), cm("b", "one")), removes("it goes", id(configMap, "a")),
		},
	},
	"the brake": {
		reason: "what would prune more than its limit prunes nothing",
		change: func(c *controller) { c.maxPrune = 1 },
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one"), cm("c", "one")), wants("too much", cm("d", "one")),
			wants("one at a time", cm("a", "one"), cm("b", "one"), cm("d", "one")), wants("and another", cm("a", "one"), cm("d", "one")),
		},
	},
	"edited by others": {
		reason: "what is ours is put right again, what is not is left alone",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), edits("edited", id(configMap, "a"), says("edited")),
			edits("extended", id(configMap, "b"), func(o unstructuredObject) { o.Object["data"] = map[string]any{"text": "one", "more": "theirs"} }),
			edits("its owner is taken away", id(configMap, "a"), func(o unstructuredObject) { o.SetOwnerReferences(nil) }),
			edits("its annotations are taken away", id(configMap, "b"), func(o unstructuredObject) { o.SetAnnotations(nil) }),
			wants("no longer", cm("b", "one")),
		},
	},
	"deleted by others": {
		reason: "it is made again",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), removes("one", id(configMap, "a")),
			does("both", func(w *world) { w.remove(id(configMap, "a")); w.remove(id(configMap, "b")) }),
		},
	},
	"undone before it is seen": {
		reason: "a child that goes before the cache has shown it leaves no trace, and is made again all the same",
		steps: []step{
			does("made", func(w *world) {
				w.behind = func(request apiserver.Request) {
					if request.Name == "a" {
						w.behind = nil
						w.remove(id(configMap, "a"))
					}
				}
				w.wants("p", list(cm("a", "one"))) // nothing else must change, or that would be seen
			}),
		},
	},
	"nobody knows whether it was made": {
		reason: "a child abroad may be there though its answer was lost, and its owner must not go without it",
		steps: []step{
			does("made, unheard and unseen, and the owner goes", func(w *world) {
				w.late = "ConfigMap"
				w.behind = func(request apiserver.Request) {
					if request.Name == "x" {
						w.behind, w.lost = nil, true
						w.remove(id(thing, "p"))
					}
				}
				w.wants("p", list(abroad("x", "one")))
			}),
			does("it is seen", func(w *world) { w.late = "" }),
		},
	},
	"a conflict storm": {
		reason: "somebody is faster time and again, and the host gets there in the end",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one"), abroad("x", "one")),
			later(does("no longer", func(w *world) {
				left := 6
				w.ahead = func(request apiserver.Request) {
					if left--; left < 0 {
						w.ahead = nil
						return
					}
					w.edit(user, kube.ID{GroupVersionKind: request.Kind, NamespacedName: request.NamespacedName}, func(o unstructuredObject) {
						o.SetLabels(map[string]string{"storm": fmt.Sprint(left)})
					})
				}
				w.wants("p", list(cm("b", "two"), abroad("x", "two")))
			})),
		},
	},
	"disowned": {
		reason: "a child from which both proofs were taken is nobody's",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), edits("bared", id(configMap, "a"), bare), wants("no longer", cm("b", "one")),
		},
	},
	"taken over": {
		reason: "a child that somebody else controls now is theirs",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")),
			does("taken", func(w *world) {
				w.create("", "{apiVersion: v1, kind: ConfigMap, metadata: {name: boss, namespace: default}}")
				w.edit(user, id(configMap, "a"), func(o unstructuredObject) {
					bare(o)
					somebody(o)
					owners := o.GetOwnerReferences()
					owners[0].UID = w.get(id(configMap, "boss")).GetUID()
					o.SetOwnerReferences(owners)
				})
			}),
			wants("no longer", cm("b", "one")),
		},
	},
	"a child hangs": {
		reason: "what another finalizer holds is waited for, whether it is wanted or not",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")),
			edits("held", id(configMap, "a"), hangs), wants("no longer", cm("b", "one")), wants("again", cm("a", "two"), cm("b", "two")),
			edits("freed", id(configMap, "a"), frees),
		},
	},
	"an invalid child": {
		reason: "the others are applied, and nothing is pruned",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")),
			does("wrong", func(w *world) {
				w.excused["bad"] = true
				w.wants("p", list(cm("a", "two"), "{apiVersion: v1, kind: Service, metadata: {name: bad}, spec: {ports: many}}"))
			}),
			does("right", func(w *world) { w.excused = map[string]bool{}; w.wants("p", list(cm("a", "two"))) }),
		},
	},
	"admission": {
		reason: "what is refused for a while is tried again",
		steps: []step{
			then(does("full", quota("b"))), wants("wanted", cm("a", "one"), cm("b", "one"), cm("c", "one")), later(does("room again", noQuota)),
		},
	},
	"two controllers": {
		reason:  "each has its children, and never sees the other's",
		several: twoControllers(),
		steps: []step{
			does("made", both(list(cm("l", "one"), abroad("lx", "one")), list(cm("r", "one"), abroad("rx", "one")))),
			does("changed", both(list(cm("l", "two")), list(cm("r2", "two"), abroad("rx", "two")))),
			does("one wants none", both("children: []", list(cm("r2", "two"), abroad("rx", "two")))), removes("deleted", id(thing, "p")),
		},
	},
	"two controllers, one name": {
		reason:  "whoever is second is refused, and has it when the first lets it go",
		several: twoControllers(),
		steps: []step{
			does("first", both(list(cm("x", "left")), "children: []")), does("second", both(list(cm("x", "left")), list(cm("x", "right")))),
			does("let go", both("children: []", list(cm("x", "right")))),
		},
	},
	"the module fails": {
		reason: "all stays as it is",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")), answers("it fails", "fail: true"), answers("it answers nonsense", "children: [{kind: ConfigMap}]"),
			wants("it is well again", cm("a", "two")),
		},
	},
	"another module": {
		reason: "what the old one came to is of no use",
		steps: []step{
			wants("made", cm("a", "one"), cm("b", "one")),
			does("restarted with another", func(w *world) {
				w.host.kill()
				w.modules["tester"] = marking
			}),
		},
	},
	"several objects": {
		reason: "each has its own children, and what happens to one is nothing to the others",
		steps: []step{
			does("made", func(w *world) {
				w.wants("p", list(cm("a", "one"), abroad("x", "one")))
				w.wants("q", list(cm("b", "one"), cm("c", "one")))
			}),
			does("changed", func(w *world) {
				w.wants("p", list(cm("a", "two")))
				w.remove(id(thing, "q"))
			}),
			does("a name changes hands", func(w *world) {
				w.wants("p", "children: []")
				w.wants("q", list(cm("a", "three")))
			}),
		},
	},
}
