package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
)

func parsed(t *testing.T, selector string) labels.Selector {
	t.Helper()
	parsed, err := labels.Parse(selector)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// relabel changes the labels or annotations of an object, and what else there is of its metadata stays.
func (b *bench) relabel(kind Kind, name types.NamespacedName, field string, labels map[string]any) {
	b.t.Helper()
	b.edit(kind, name, func(object map[string]any) { object["metadata"].(map[string]any)[field] = labels })
}

// TestSelector has selectors of each kind, and objects that meet them and do not.
func TestSelector(t *testing.T) {
	tests := map[string]struct {
		reason   string
		selector func(b *bench) Selector
		want     bool
	}{
		"none":                {"all are selected", func(*bench) Selector { return Selector{} }, true},
		"its namespace":       {"it is listed", func(b *bench) Selector { return Selector{Namespaces: []string{"other", b.name.Namespace}} }, true},
		"other namespaces":    {"it is not listed", func(*bench) Selector { return Selector{Namespaces: []string{"other"}} }, false},
		"all namespaces":      {"it is one of them", func(*bench) Selector { return Selector{Namespaces: []string{AllNamespaces}} }, true},
		"a label":             {"it has it", func(*bench) Selector { return Selector{Labels: parsed(t, "tier=front")} }, true},
		"another label":       {"it has another value", func(*bench) Selector { return Selector{Labels: parsed(t, "tier=back")} }, false},
		"no such label":       {"it has none", func(*bench) Selector { return Selector{Labels: parsed(t, "!draft")} }, true},
		"an annotation":       {"it has it", func(*bench) Selector { return Selector{Annotations: parsed(t, "example.com/on")} }, true},
		"a label, annotated":  {"labels are no annotations", func(*bench) Selector { return Selector{Annotations: parsed(t, "tier=front")} }, false},
		"a number":            {"it is compared by its text", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("spec.size=1")} }, true},
		"another number":      {"it is not", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("spec.size=2")} }, false},
		"not that number":     {"it is another", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("spec.size!=2")} }, true},
		"a field that is not": {"it is empty", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("status.phase=,spec.size=1")} }, true},
		"through a field":     {"there is nothing below a number", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("spec.size.of!=")} }, false},
		"the name":            {"it is a field too", func(*bench) Selector { return Selector{Fields: fields.ParseSelectorOrDie("metadata.name=a")} }, true},
		"one of two fields": {"both are to hold", func(*bench) Selector {
			return Selector{Fields: fields.ParseSelectorOrDie("spec.size=1,metadata.name=b")}
		}, false},
		"the namespace's label": {"its namespace has it", func(*bench) Selector {
			return Selector{NamespaceLabels: parsed(t, "team=web")}
		}, true},
		"another label of the namespace": {"its namespace does not have it", func(*bench) Selector {
			return Selector{NamespaceLabels: parsed(t, "team!=web")}
		}, false},
		"all of them": {"one is not met", func(b *bench) Selector {
			return Selector{
				Namespaces: []string{b.name.Namespace}, NamespaceLabels: parsed(t, "team=web"),
				Labels: parsed(t, "tier=front"), Annotations: parsed(t, "!example.com/on"),
			}
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing})
			b.relabel(namespace, types.NamespacedName{Name: b.name.Namespace}, "labels", map[string]any{"team": "web"})
			b.relabel(thing, b.name, "labels", map[string]any{"tier": "front"})
			b.relabel(thing, b.name, "annotations", map[string]any{"example.com/on": "yes"})
			b.controller.Selector = tt.selector(b)
			b.reconcileOnce()
			if called := b.did().Calls > 0; called != tt.want {
				t.Errorf("%s: selected: got %t, want %t", tt.reason, called, tt.want)
			}
		})
	}
}

// TestSelectorOfClusterScoped has objects without a namespace.
func TestSelectorOfClusterScoped(t *testing.T) {
	tests := map[string]struct {
		reason   string
		selector Selector
		want     bool
	}{
		"namespaces":        {"it is in none", Selector{Namespaces: []string{"default"}}, false},
		"namespaces' label": {"there is no namespace that could have it or not", Selector{NamespaceLabels: parsed(t, "team=web")}, true},
		"label":             {"it has none", Selector{Labels: parsed(t, "tier=front")}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: namespace, Selector: tt.selector})
			b.reconcileOnce()
			if called := b.did().Calls > 0; called != tt.want {
				t.Errorf("%s: selected: got %t, want %t", tt.reason, called, tt.want)
			}
		})
	}
}

// leavers are the ways in which an object stops matching and matches again.
func leavers(t *testing.T) map[string]struct {
	selector     Selector
	leave, enter func(b *bench)
} {
	t.Helper()
	return map[string]struct {
		selector     Selector
		leave, enter func(b *bench)
	}{
		"by label": {
			Selector{Labels: parsed(t, "!off")},
			func(b *bench) { b.relabel(thing, b.name, "labels", map[string]any{"off": "1"}) },
			func(b *bench) { b.relabel(thing, b.name, "labels", map[string]any{}) },
		},
		"by annotation": {
			Selector{Annotations: parsed(t, "!off")},
			func(b *bench) { b.relabel(thing, b.name, "annotations", map[string]any{"off": "1"}) },
			func(b *bench) { b.relabel(thing, b.name, "annotations", map[string]any{}) },
		},
		"by field": {
			Selector{Fields: fields.ParseSelectorOrDie("spec.size!=9")},
			func(b *bench) { b.resize(9) },
			func(b *bench) { b.resize(1) },
		},
		"by the namespace's label, which leaves the object as it is": {
			Selector{NamespaceLabels: parsed(t, "!off")},
			func(b *bench) {
				b.relabel(namespace, types.NamespacedName{Name: b.name.Namespace}, "labels", map[string]any{"off": "1"})
			},
			func(b *bench) {
				b.relabel(namespace, types.NamespacedName{Name: b.name.Namespace}, "labels", map[string]any{})
			},
		},
	}
}

// TestLetGo has objects that stop matching, and match again.
func TestLetGo(t *testing.T) {
	for name, way := range leavers(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Selector: way.selector, Owns: owns(configMap), Related: RelatedOptions{Allow: allowAll}})
			b.settle(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}],"related":[` + namedConfigMaps("x") + `]}`)
			b.answer = `{"children":[]}`
			way.leave(b)
			for range 2 {
				b.reconcileOnce()
			}
			if diff := cmp.Diff(did{}, b.did()); diff != "" {
				t.Errorf("nobody is asked: -want +got:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"c"}, b.children()); diff != "" {
				t.Errorf("its child stays: -want +got:\n%s", diff)
			}
			if len(b.memory.objects) > 0 || len(b.dependencies.selections) > 0 {
				t.Errorf("it is forgotten: got %v, %v", b.memory.objects, b.dependencies.selections)
			}
			b.delete(configMap, b.called("c"))
			b.reconcileOnce()
			if diff := cmp.Diff([]string{}, b.children()); diff != "" {
				t.Errorf("a child that goes is not made again: -want +got:\n%s", diff)
			}
			way.enter(b)
			b.answer = wants("d")
			b.reconcileOnce()
			if diff := cmp.Diff([]string{"d"}, b.children()); diff != "" {
				t.Errorf("it matches again: -want +got:\n%s", diff)
			}
		})
	}
}

// TestLetGoKnowsItsChildren has an object match again whose child was there all the time.
func TestLetGoKnowsItsChildren(t *testing.T) {
	b := newBench(t, Controller{For: thing, Selector: Selector{Labels: parsed(t, "!off")}, Owns: owns(configMap)})
	b.settle(wants("c"))
	b.relabel(thing, b.name, "labels", map[string]any{"off": "1"})
	b.reconcileOnce()
	b.relabel(thing, b.name, "labels", map[string]any{})
	b.answer = wants()
	b.reconcileOnce()
	if diff := cmp.Diff([]string{}, b.children()); diff != "" {
		t.Errorf("it is its own still, and not wanted any more: -want +got:\n%s", diff)
	}
}

// TestLetGoFinalizes has the module asked what is to be done when an object stops matching.
func TestLetGoFinalizes(t *testing.T) {
	for name, way := range leavers(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Selector: way.selector, Owns: owns(configMap), Finalize: true})
			steps := []struct {
				reason     string
				before     func()
				answer     string
				told       []bool
				children   []string
				finalizers []string
			}{
				{"first the finalizer", func() {}, wants("c"), nil, []string{}, []string{"wasmloop.dev/tester"}},
				{"then the child", func() {}, wants("c"), []bool{false}, []string{"c"}, []string{"wasmloop.dev/tester"}},
				{"it is at rest", func() {}, wants("c"), []bool{false}, []string{"c"}, []string{"wasmloop.dev/tester"}},
				{
					"the module is asked, and needs time",
					func() { way.leave(b) }, wants("cleaner"),
					[]bool{true},
					[]string{"cleaner"},
					[]string{"wasmloop.dev/tester"},
				},
				{
					"it sees what it made, and is done",
					func() {}, `{"children":[],"finalized":true}`,
					[]bool{true},
					[]string{},
					nil,
				},
				{"it is let go", func() {}, wants("c"), nil, []string{}, nil},
				{
					"it matches again, and gets the finalizer",
					func() { way.enter(b) }, wants("c"), nil,
					[]string{},
					[]string{"wasmloop.dev/tester"},
				},
				{"and the child", func() {}, wants("c"), []bool{false}, []string{"c"}, []string{"wasmloop.dev/tester"}},
			}
			for _, step := range steps {
				step.before()
				b.answer = step.answer
				b.reconcileOnce()
				if diff := cmp.Diff(step.told, b.finalizing()); diff != "" {
					t.Errorf("%s: calls: -want +got:\n%s", step.reason, diff)
				}
				b.did()
				if diff := cmp.Diff(step.children, b.children()); diff != "" {
					t.Errorf("%s: children: -want +got:\n%s", step.reason, diff)
				}
				if diff := cmp.Diff(step.finalizers, b.finalizers()); diff != "" {
					t.Errorf("%s: finalizers: -want +got:\n%s", step.reason, diff)
				}
			}
		})
	}
}

// TestLetGoWithChildrenAbroad keeps the finalizer on an object that is not selected any more, since what it has elsewhere
// would stay for ever when it goes.
func TestLetGoWithChildrenAbroad(t *testing.T) {
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Selector: Selector{Labels: parsed(t, "!off")}, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			b.relabel(thing, b.name, "labels", map[string]any{"off": "1"})
			b.reconcileOnce()
			if diff := cmp.Diff(did{}, b.did()); diff != "" {
				t.Errorf("nothing is done: -want +got:\n%s", diff)
			}
			b.delete(thing, b.name)
			b.reconcileOnce() // the child goes
			b.reconcileOnce() // the object follows
			if b.observe(child.kind, child.name) != nil || b.observe(thing, b.name) != nil {
				t.Error("the object goes, and its child with it")
			}
		})
	}
}
