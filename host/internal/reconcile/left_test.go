package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// TestChildrenAsLeft looks at no child as long as the answer about them and their versions are as they were.
func TestChildrenAsLeft(t *testing.T) {
	const kept = `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"of":"a"}}],"keep":[{"apiVersion":"v1","kind":"ConfigMap","name":"b"}]}`
	steps := []struct {
		reason string
		before func(b *bench)
		looks  bool
		made   []string
	}{
		{"there is nothing yet", func(b *bench) { b.answer = wants("a", "b") }, true, []string{"PATCH configmaps/a", "PATCH configmaps/b"}},
		{"the host's own writes are no news", func(*bench) {}, false, nil},
		{"a status does not matter to children", func(b *bench) {
			b.answer = `{"status":{"phase":"Ready"},` + wants("a", "b")[1:]
		}, false, []string{"PATCH a/status"}},
		{"somebody has changed a child", func(b *bench) {
			b.edit(configMap, b.called("a"), func(object map[string]any) { object["data"] = map[string]any{"of": "somebody"} })
		}, true, []string{"PATCH configmaps/a"}},
		{"what was mended is as it was left", func(*bench) {}, false, nil},
		{"somebody has deleted a child", func(b *bench) { b.delete(configMap, b.called("b")) }, true, []string{"PATCH configmaps/b"}},
		{"somebody has added to a child what is not the host's", func(b *bench) {
			b.edit(configMap, b.called("a"), func(object map[string]any) { object["immutable"] = false })
		}, true, nil},
		{"that is known now", func(*bench) {}, false, nil},
		{"another answer", func(b *bench) { b.answer = kept }, true, nil},
		{"what is kept is known", func(*bench) {}, false, nil},
		{"what was kept is not wanted any more", func(b *bench) { b.answer = wants("a") }, true, []string{"DELETE configmaps/b"}},
		{"what is gone is not missed", func(*bench) {}, false, nil},
		{"no opinion", func(b *bench) { b.answer = `{}` }, false, nil},
		{"nothing is wanted, so that there is nothing to look at", func(b *bench) { b.answer = `{"children":[]}` }, false, []string{"DELETE configmaps/a"}},
		{"a deletion is no news", func(*bench) {}, false, nil},
		{"wanted again", func(b *bench) { b.answer = wants("a", "b") }, true, []string{"PATCH configmaps/a", "PATCH configmaps/b"}},
	}
	b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
	for i, step := range steps {
		b.resize(i + 2)
		step.before(b)
		b.looks = 0
		b.reconcileOnce()
		made, done := b.wrote()
		if diff := cmp.Diff(step.made, made); diff != "" || done.Calls != 1 {
			t.Errorf("%s: %d calls; writes: -want +got:\n%s", step.reason, done.Calls, diff)
		}
		if (b.looks > 0) != step.looks {
			t.Errorf("%s: looked %d times at children, want %t", step.reason, b.looks, step.looks)
		}
	}
}

// TestFinalizerTakenAway puts the finalizer back on, though the module says the same of the children, which are as they were.
func TestFinalizerTakenAway(t *testing.T) {
	for name, child := range foreigners(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap, clusterRole)})
			b.settle(`{"children":[` + child.json + `]}`)
			b.edit(thing, b.name, func(object map[string]any) { object["metadata"].(map[string]any)["finalizers"] = nil })
			b.looks = 0
			for range 3 {
				b.reconcileOnce()
			}
			made, _ := b.wrote()
			if diff := cmp.Diff([]string{"PATCH things/a"}, made); diff != "" || b.looks > 0 {
				t.Errorf("%d looks; writes: -want +got:\n%s", b.looks, diff)
			}
			if diff := cmp.Diff([]string{"wasmloop.dev/tester"}, b.finalizers()); diff != "" {
				t.Errorf("finalizers: -want +got:\n%s", diff)
			}
		})
	}
}

// TestFinalizerTakenAwayUnseen does so though the module does not see finalizers.
func TestFinalizerTakenAwayUnseen(t *testing.T) {
	child := foreigners(t)["in another namespace"]
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap), View: View{Fields: []string{"spec"}}})
	b.settle(`{"children":[` + child.json + `]}`)
	b.edit(thing, b.name, func(object map[string]any) { object["metadata"].(map[string]any)["finalizers"] = nil })
	b.reconcileOnce()
	if diff := cmp.Diff([]string{"wasmloop.dev/tester"}, b.finalizers()); diff != "" {
		t.Errorf("finalizers: -want +got:\n%s", diff)
	}
}

// TestHoldingDoesNotCount makes a child as soon as the finalizer is there, though the module may be called but rarely.
func TestHoldingDoesNotCount(t *testing.T) {
	child := foreigners(t)["in another namespace"]
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap), MinInterval: time.Hour})
	b.answer = `{"children":[` + child.json + `]}`
	b.reconcileOnce()
	b.reconcileOnce()
	if b.observe(configMap, child.name) == nil {
		t.Error("there is no child")
	}
	b.resize(2)
	b.did()
	if wait := b.reconcileOnce(); wait <= 0 || wait > time.Hour || b.did().Calls > 0 {
		t.Errorf("got %s, want to wait", wait)
	}
}

// TestLastAnswerLeavesNothing makes a child that the last answer for an object has wanted, when the object stays after all.
func TestLastAnswerLeavesNothing(t *testing.T) {
	selector := Selector{Labels: labels.SelectorFromSet(labels.Set{"watched": "yes"})}
	b := newBench(t, Controller{For: thing, Owns: owns(configMap), Finalize: true, Selector: selector, Predecessor: time.Minute})
	b.started = time.Now()
	watched := func(value string) {
		b.edit(thing, b.name, func(object map[string]any) {
			object["metadata"].(map[string]any)["labels"] = map[string]any{"watched": value}
		})
	}
	watched("yes")
	b.reconcileOnce()
	b.settle(wants("a"))
	b.memory.doubt(b.name, kube.ID{}, time.Now().Add(time.Minute)) // so that it is not let go
	watched("no")
	b.resize(2)
	b.answer = `{"finalized":true,` + wants("a", "b")[1:]
	b.reconcileOnce()
	if diff := cmp.Diff([]string{"a"}, b.children()); diff != "" {
		t.Fatalf("while it is let go: -want +got:\n%s", diff)
	}
	watched("yes")
	b.answer = wants("a", "b")
	b.reconcileOnce()
	if diff := cmp.Diff([]string{"a", "b"}, b.children()); diff != "" {
		t.Errorf("it stays: -want +got:\n%s", diff)
	}
}

// TestSplit parts answers.
func TestSplit(t *testing.T) {
	tests := map[string]struct{ response, rest string }{
		"nothing":        {`{}`, `{}`},
		"children alone": {` { "children" : [ {"a": 1} ] } `, `{}`},
		"all":            {`{"status":{"a":"}"},"children":[],"keep":[],"finalized":true}`, `{"status":{"a":"}"},"finalized":true}`},
		"escaped":        {`{"chi\u006cdren":[],"\u0001\"":1}`, `{"\u0001\"":1}`},
	}
	for name, tt := range tests {
		_, rest := split([]byte(tt.response))
		if diff := cmp.Diff(tt.rest, string(rest)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	for _, broken := range []string{``, `[]`, `{"children":[]`, `{"children":[]}x`} {
		if wanted, _ := split([]byte(broken)); wanted != (sum{}) {
			t.Errorf("%q: it has a sum", broken)
		}
	}
	same := func(a, b string) bool {
		first, _ := split([]byte(a))
		second, _ := split([]byte(b))
		return first == second
	}
	for _, differ := range [][2]string{
		{`{}`, `{"children":[]}`}, {`{"children":[]}`, `{"keep":[]}`}, {`{"children":[1]}`, `{"children":[2]}`}, {`{"children":[],"keep":[1]}`, `{"children":[]}`},
	} {
		if same(differ[0], differ[1]) {
			t.Errorf("%s and %s have the same sum", differ[0], differ[1])
		}
	}
	if !same(`{"children":[1],"status":{}}`, `{"children":[1]}`) {
		t.Error("a status makes another sum")
	}
}
