package reconcile

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// foreign is a child that can have no owner reference to a Thing.
type foreign struct {
	kind Kind
	name types.NamespacedName
	path string
	json string
}

// foreigners returns one in another namespace, and a cluster-scoped one.
func foreigners(t *testing.T) map[string]foreign {
	t.Helper()
	other := newNamespace(t)
	return map[string]foreign{
		"in another namespace": {
			configMap,
			types.NamespacedName{Namespace: other, Name: "abroad"},
			"configmaps/abroad",
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"abroad","namespace":"` + other + `"}}`,
		},
		"cluster-scoped": {
			clusterRole,
			types.NamespacedName{Name: other},
			"clusterroles/" + other,
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"` + other + `"}}`,
		},
	}
}

// anywhere are kinds whose children may be in all namespaces.
func anywhere(options apply.KindOptions, kinds ...Kind) []OwnedKind {
	owned := owns(kinds...)
	for i := range owned {
		owned[i].Namespaces, owned[i].Options = []string{AllNamespaces}, options
	}
	return owned
}

// finalizers returns those of the object, nil if it is gone.
func (b *bench) finalizers() []string {
	b.t.Helper()
	if object := b.observe(thing, b.name); object != nil {
		return object.Finalizers
	}
	return nil
}

// TestChildAbroad follows an object that comes to have such a child, and to have none again.
func TestChildAbroad(t *testing.T) {
	const here = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"here"}}`
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			both, one := `{"children":[`+here+`,`+child.json+`]}`, `{"children":[`+here+`]}`
			steps := []struct {
				reason     string
				answer     string
				made       []string
				finalizers []string
				there      bool
			}{
				{"a child beside the object needs no finalizer", one, []string{"PATCH configmaps/here"}, nil, false},
				{"the finalizer comes before the child", both, []string{"PATCH things/a"}, []string{"wasmloop.dev/tester"}, false},
				{"then comes the child", both, []string{"PATCH " + child.path}, []string{"wasmloop.dev/tester"}, true},
				{"all is as it should be", both, nil, []string{"wasmloop.dev/tester"}, true},
				{"the child goes first", one, []string{"DELETE " + child.path}, []string{"wasmloop.dev/tester"}, false},
				{"the finalizer is of no use any more", one, []string{"PATCH things/a"}, nil, false},
				{"all is as it should be", one, nil, nil, false},
			}
			for i, step := range steps {
				b.resize(i + 2)
				b.answer = step.answer
				b.reconcileOnce()
				made, done := b.wrote()
				if diff := cmp.Diff(step.made, made); diff != "" {
					t.Errorf("%s: writes: -want +got:\n%s", step.reason, diff)
				}
				if diff := cmp.Diff(did{Calls: 1, Writes: len(step.made)}, done); diff != "" {
					t.Errorf("%s: -want +got:\n%s", step.reason, diff)
				}
				if diff := cmp.Diff(step.finalizers, b.finalizers()); diff != "" {
					t.Errorf("%s: finalizers: -want +got:\n%s", step.reason, diff)
				}
				found := b.observe(child.kind, child.name)
				if (found != nil) != step.there || found != nil && len(found.Owners) > 0 {
					t.Errorf("%s: child: got %v", step.reason, found)
				}
			}
		})
	}
}

// TestChildAbroadGoesWithItsObject deletes an object whose module is broken: it is not asked.
func TestChildAbroadGoesWithItsObject(t *testing.T) {
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			b.reconcileOnce()
			b.did()
			b.answerErr = trap{}
			held := func(on []string) {
				b.edit(child.kind, child.name, func(object map[string]any) { object["metadata"].(map[string]any)["finalizers"] = on })
			}
			held([]string{"example.com/hold"})
			b.delete(thing, b.name)
			steps := []struct {
				reason string
				before func()
				made   []string
				gone   bool
			}{
				{"the child goes first", func() {}, []string{"DELETE " + child.path}, false},
				{"it is still there", func() {}, nil, false},
				{"it is gone, so the object may go", func() { held(nil) }, []string{"PATCH things/a"}, true},
				{"nothing is left to be done", func() {}, nil, true},
			}
			for _, step := range steps {
				step.before()
				b.reconcileOnce()
				made, done := b.wrote()
				if diff := cmp.Diff(step.made, made); diff != "" || done.Calls > 0 || len(done.Events) > 0 {
					t.Errorf("%s: got %+v; writes: -want +got:\n%s", step.reason, done, diff)
				}
				if gone := b.observe(thing, b.name) == nil; gone != step.gone {
					t.Errorf("%s: is the object gone? got %t", step.reason, gone)
				}
			}
			if found := b.observe(child.kind, child.name); found != nil {
				t.Errorf("the child: got %v, want none", found)
			}
		})
	}
}

// TestNothingForeignGoesWithAnObject deletes an object that has lost its child to somebody else.
func TestNothingForeignGoesWithAnObject(t *testing.T) {
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			copied := strings.Replace(child.json, `"metadata":{"name":"`+child.name.Name, `"metadata":{"annotations":{"wasmloop.dev/owned-by":"`+
				b.observe(child.kind, child.name).Mark(apply.AnnotationOwnedBy)+`"},"name":"`+child.name.Name+"-copy", 1)
			b.createIn(child.name.Namespace, copied)
			b.edit(child.kind, child.name, func(object map[string]any) {
				object["metadata"].(map[string]any)["ownerReferences"] = []any{
					map[string]any{"apiVersion": "example.com/v1", "kind": "Other", "name": "o", "uid": "another", "controller": true},
				}
			})
			copyName := child.name
			copyName.Name += "-copy"
			before := []*kube.Object{b.observe(child.kind, child.name), b.observe(child.kind, copyName)}
			b.delete(thing, b.name)
			b.reconcileOnce()
			if made, _ := b.wrote(); len(made) != 1 || b.observe(thing, b.name) != nil {
				t.Errorf("the object is let go, and nothing else is written: got %v", made)
			}
			after := []*kube.Object{b.observe(child.kind, child.name), b.observe(child.kind, copyName)}
			if diff := cmp.Diff(before, after, exported); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

// TestNoFinalizerNoChild cannot put the finalizer on the object.
func TestNoFinalizerNoChild(t *testing.T) {
	tests := map[string]struct {
		reason string
		before func(b *bench)
		events []string
		fails  bool
	}{
		"forbidden": {
			reason: "whoever runs the host must be told",
			before: func(b *bench) {
				b.refuse = func(request *http.Request) bool { return strings.HasSuffix(request.URL.Path, "/things/a") }
			},
			events: []string{"Warning FinalizeFailed on a: cannot add the finalizer wasmloop.dev/tester to Thing $NAMESPACE/a: not you"},
			fails:  true,
		},
		"changed meanwhile": {
			reason: "others' finalizers must not be lost; the cache will show them soon",
			before: func(b *bench) {
				b.cache.freeze(b.t, b.name.Namespace, thing)
				b.edit(thing, b.name, func(object map[string]any) {
					object["metadata"].(map[string]any)["finalizers"] = []string{"example.com/theirs"}
				})
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			child := foreigners(t)["in another namespace"]
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap)})
			b.answer = `{"children":[` + child.json + `]}`
			tt.before(b)
			result, err := b.Reconcile(t.Context(), b.name)
			if (err != nil) != tt.fails || !tt.fails && result.RequeueAfter != conflictPause {
				t.Errorf("%s: got %v, %v", tt.reason, result, err)
			}
			for i := range tt.events {
				tt.events[i] = b.here(tt.events[i])
			}
			if diff := cmp.Diff(did{Calls: 1, Writes: 1, Events: tt.events}, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if found := b.observe(child.kind, child.name); found != nil {
				t.Errorf("it would stay when the object goes: got %v", found)
			}
		})
	}
}

// TestWhereChildrenMayBe goes by the config's namespaces.
func TestWhereChildrenMayBe(t *testing.T) {
	const inM = `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"m"}}]}`
	tests := map[string]struct {
		reason     string
		namespace  string // of the object
		namespaces []string
		answer     string
		want       string
	}{
		"own namespace, said":     {"it is always allowed", "n", nil, strings.ReplaceAll(inM, `"m"`, `"n"`), ""},
		"own namespace, not":      {"it is always allowed", "n", []string{"o"}, strings.ReplaceAll(inM, `"m"`, `"n"`), ""},
		"another, none allowed":   {"who may write here need not be allowed to there", "n", nil, inM, `children[0]: metadata.namespace: "m" is not the object's namespace "n": allow it by namespaces of ConfigMap in owns of the controller's config`},
		"another, others do":      {"who may write there need not be allowed to here", "n", []string{"o"}, inM, `children[0]: metadata.namespace: "m" is not the object's namespace "n": allow it by namespaces of ConfigMap in owns of the controller's config`},
		"another, this one":       {"the config says so", "n", []string{"o", "m"}, inM, ""},
		"another, all":            {"the config says so", "n", []string{"*"}, inM, ""},
		"of a cluster-scoped":     {"it has no namespace that one could mean", "", nil, inM, ""},
		"of such a one, others":   {"the config says where", "", []string{"o"}, inM, `children[0]: metadata.namespace: "m" is not the object's namespace "": allow it by namespaces of ConfigMap in owns of the controller's config`},
		"of such a one, this":     {"the config says where", "", []string{"m"}, inM, ""},
		"of such a one, not said": {"it has no namespace that one could mean", "", []string{"*"}, `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}`, `children[0]: metadata.namespace: required, since the reconciled object has no namespace`},
		"kept, not said":          {"the object's is meant", "n", nil, `{"children":[],"keep":[{"apiVersion":"v1","kind":"ConfigMap","name":"c"}]}`, ""},
		"kept, of a cluster-scoped, not said": {
			"what is meant would be pruned", "", nil, `{"children":[],"keep":[{"apiVersion":"v1","kind":"ConfigMap","name":"c"}]}`,
			`keep[0]: namespace: required, since the reconciled object has no namespace`,
		},
		"kept, cluster-scoped with a namespace": {
			"what is meant would be pruned", "n", nil, `{"children":[],"keep":[{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","name":"c","namespace":"n"}]}`,
			`keep[0]: ClusterRole is cluster-scoped, and namespace is "n"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			owned := owns(configMap, clusterRole)
			owned[0].Namespaces = tt.namespaces
			r := New(Controller{Name: "tester", For: thing, Owns: owned}, nil, nil, nil, nil)
			response, err := abi.DecodeResponse([]byte(tt.answer))
			if err != nil {
				t.Fatal(err)
			}
			object := &kube.Object{Kind: thing.GroupVersionKind, NamespacedName: types.NamespacedName{Namespace: tt.namespace, Name: "a"}}
			got := ""
			if err := r.check(&observation{object: object}, response); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestKeepAbroad keeps what is not in the object's namespace.
func TestKeepAbroad(t *testing.T) {
	keeps := map[string]func(child foreign) string{
		"in another namespace": func(child foreign) string {
			return `{"apiVersion":"v1","kind":"ConfigMap","name":"abroad","namespace":"` + child.name.Namespace + `"}`
		},
		"cluster-scoped": func(child foreign) string {
			return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","name":"` + child.name.Name + `"}`
		},
	}
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			for i, step := range []struct {
				answer string
				made   []string
			}{
				{`{"children":[],"keep":[` + keeps[name](child) + `]}`, nil},
				{`{"children":[]}`, []string{"DELETE " + child.path}},
			} {
				b.resize(i + 2)
				b.answer = step.answer
				b.reconcileOnce()
				made, _ := b.wrote()
				if diff := cmp.Diff(step.made, made); diff != "" {
					t.Errorf("%s: -want +got:\n%s", step.answer, diff)
				}
				if diff := cmp.Diff([]string{"wasmloop.dev/tester"}, b.finalizers()); diff != "" {
					t.Errorf("%s: finalizers: -want +got:\n%s", step.answer, diff)
				}
			}
		})
	}
}

// TestClusterScopedObject has children everywhere, and no finalizer: they can all have owner references.
func TestClusterScopedObject(t *testing.T) {
	b := newBench(t, Controller{For: namespace, Owns: owns(configMap, clusterRole)})
	for name, child := range foreigners(t) {
		b.answer = `{"children":[` + child.json + `]}`
		b.reconcileOnce()
		made, _ := b.wrote()
		if len(made) == 0 || made[0] != "PATCH "+child.path {
			t.Errorf("%s: writes: got %v", name, made)
		}
		found := b.observe(child.kind, child.name)
		want := []kube.Owner{{APIVersion: "v1", Kind: "Namespace", Name: b.name.Name, UID: b.object.GetUID(), Controller: true}}
		if diff := cmp.Diff(want, found.Owners); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if object := b.observe(namespace, b.name); len(object.Finalizers) > 0 {
			t.Errorf("%s: finalizers: got %v", name, object.Finalizers)
		}
		b.memory.unsettle(b.name, false) // else it would not be asked, since nothing that it sees has changed
	}
}

// TestOrphan leaves children behind.
func TestOrphan(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{Orphan: true}, configMap)})
	child := foreigners(t)["in another namespace"]
	b.settle(strings.Replace(wants("a", "b"), `{"children":[`, `{"children":[`+child.json+`,`, 1))
	if diff := cmp.Diff([]string(nil), b.finalizers()); diff != "" {
		t.Errorf("there is nothing to clean up: -want +got:\n%s", diff)
	}
	b.resize(2)
	b.answer = wants("a")
	b.reconcileOnce()
	made, _ := b.wrote()
	if diff := cmp.Diff(2, len(made)); diff != "" || strings.Contains(strings.Join(made, " "), "DELETE") {
		t.Errorf("writes: got %v", made)
	}
	for _, name := range []types.NamespacedName{b.called("b"), child.name} {
		if found := b.observe(configMap, name); found == nil || found.Mark(apply.AnnotationOwnedBy) != "" || found.Mark(apply.AnnotationApplied) != "" {
			t.Errorf("%s is nobody's from then on: got %v", name, found)
		}
	}
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("the module is told that they are no children of its object any more: -want +got:\n%s", diff)
	}
	left := b.observe(configMap, b.called("a"))
	b.delete(thing, b.name)
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("the object is gone, and nothing is done: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(left, b.observe(configMap, b.called("a")), exported); diff != "" || len(left.Owners) > 0 {
		t.Errorf("owners %v: -before +after:\n%s", left.Owners, diff)
	}
}

// TestNotController keeps children that somebody else may control.
func TestNotController(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{NotController: true}, configMap)})
	b.settle(wants("a", "b"))
	if found := b.observe(configMap, b.called("a")); found.Controller() != nil || len(found.Owners) != 1 || found.Owners[0].UID != b.object.GetUID() {
		t.Errorf("owners: got %+v", found.Owners)
	}
	b.memory.unsettle(b.name, false)
	b.reconcileOnce()
	if diff := cmp.Diff(did{Calls: 1}, b.did()); diff != "" {
		t.Errorf("all is as it should be: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]types.NamespacedName{b.name}, b.Seen(b.observe(configMap, b.called("a")), false)); diff != "" {
		t.Errorf("no controller says whom its events are to wake: -want +got:\n%s", diff)
	}
	b.resize(2)
	b.answer = wants("a")
	b.reconcileOnce()
	if diff := cmp.Diff([]string{"a"}, b.children()); diff != "" {
		t.Errorf("what is not wanted any more goes: -want +got:\n%s", diff)
	}
}

// TestRecreate follows a child through its being made anew.
func TestRecreate(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{Strategy: apply.Recreate}, secret)})
	of := func(kind string) string {
		return `{"children":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"type":"example.com/` + kind + `"}]}`
	}
	b.settle(of("x"))
	b.cache.freeze(t, b.name.Namespace, thing, secret)
	object := *b.observe(thing, b.name)
	object.ResourceVersion += "0"
	object.JSON = bytes.Replace(object.JSON, []byte(`"size":1`), []byte(`"size":2`), 1)
	b.cache.show(&object)
	b.answer = of("y")
	steps := []struct {
		reason string
		before func()
		calls  int
		made   []string
	}{
		{"it is deleted", func() {}, 1, []string{"PATCH secrets/a", "POST " + b.name.Namespace + "/secrets", "DELETE secrets/a"}},
		{"the cache must show that first", func() {}, 0, nil},
		{"then it is made anew", b.cache.thaw, 1, []string{"PATCH secrets/a"}},
		{"the module sees it, and is content", func() {}, 1, nil},
	}
	for _, step := range steps {
		step.before()
		b.reconcileOnce()
		made, done := b.wrote()
		if diff := cmp.Diff(step.made, made); diff != "" || done.Calls != step.calls || len(done.Events) > 0 {
			t.Errorf("%s: got %+v; writes: -want +got:\n%s", step.reason, done, diff)
		}
	}
}
