package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// finalizing returns what each of the last calls was told, and what the module could see of the finalizer.
func (b *bench) finalizing() (told []bool) {
	b.t.Helper()
	for _, encoded := range b.requests {
		request, err := abi.DecodeRequest(encoded)
		if err != nil {
			b.t.Fatal(err)
		}
		told = append(told, request.Finalizing)
	}
	return told
}

// TestFinalize follows an object to its end.
func TestFinalize(t *testing.T) {
	child := foreigners(t)["in another namespace"]
	b := newBench(t, Controller{For: thing, Owns: anywhere(apply.KindOptions{}, configMap), Finalize: true})
	steps := []struct {
		reason   string
		before   func()
		answer   string
		told     []bool
		made     []string
		children []string
		gone     bool
	}{
		{"the finalizer comes before anything is made", func() {}, wants("a"), nil, []string{"PATCH things/a"}, []string{}, false},
		{"then the module is called", func() {}, wants("a"), []bool{false}, []string{"PATCH configmaps/a"}, []string{"a"}, false},
		{"it sees its child", func() {}, wants("a"), []bool{false}, nil, []string{"a"}, false},
		{
			"what it wants before the object goes is applied", func() { b.delete(thing, b.name) },
			wants("job"),
			[]bool{true},
			[]string{"PATCH configmaps/job", "DELETE configmaps/a"},
			[]string{"job"},
			false,
		},
		{"it waits for something, as it says by no word", func() {}, wants("job"), []bool{true}, nil, []string{"job"}, false},
		{"nothing has changed", func() {}, wants("job"), nil, nil, []string{"job"}, false},
		{
			"it makes use of a child elsewhere", func() { b.memory.unsettle(b.name, false) },
			`{"children":[` + child.json + `]}`,
			[]bool{true},
			[]string{"PATCH configmaps/abroad", "DELETE configmaps/job"},
			[]string{},
			false,
		},
		{
			"what would stay goes before the object, and is not made again", func() {},
			`{"finalized":true,"children":[` + child.json + `]}`,
			[]bool{true},
			[]string{"DELETE configmaps/abroad"},
			[]string{},
			false,
		},
		{
			"now it may go", func() {},
			`{"finalized":true,"children":[` + child.json + `]}`,
			[]bool{true},
			[]string{"PATCH things/a"},
			[]string{},
			true,
		},
		{"nothing is left to be done", func() {}, wants("a"), nil, nil, []string{}, true},
	}
	for _, step := range steps {
		step.before()
		b.answer = step.answer
		b.reconcileOnce()
		told := b.finalizing()
		made, done := b.wrote()
		if diff := cmp.Diff(step.told, told); diff != "" {
			t.Errorf("%s: calls: -want +got:\n%s", step.reason, diff)
		}
		if diff := cmp.Diff(step.made, made); diff != "" || len(done.Events) > 0 {
			t.Errorf("%s: events %v, writes: -want +got:\n%s", step.reason, done.Events, diff)
		}
		if diff := cmp.Diff(step.children, b.children()); diff != "" {
			t.Errorf("%s: children: -want +got:\n%s", step.reason, diff)
		}
		if gone := b.observe(thing, b.name) == nil; gone != step.gone {
			t.Errorf("%s: is the object gone? got %t", step.reason, gone)
		}
	}
	if found := b.observe(child.kind, child.name); found != nil {
		t.Errorf("got %v, want none", found)
	}
}

// TestFinalizeWaitsForTheCache puts the finalizer on an object of which the cache shows no more than it did.
func TestFinalizeWaitsForTheCache(t *testing.T) {
	b := newBench(t, Controller{For: thing, Finalize: true})
	b.cache.freeze(t, b.name.Namespace, thing)
	for range 2 {
		if wait := b.reconcileOnce(); wait <= 0 || wait > cacheTimeout {
			t.Errorf("got %s, want to wait for the cache", wait)
		}
	}
	if diff := cmp.Diff(did{Writes: 1}, b.did()); diff != "" {
		t.Errorf("the module is told of the object with its finalizer: -want +got:\n%s", diff)
	}
}

// TestFinalizeFails has modules that do not come to an end: the object stays, and says what can be done.
func TestFinalizeFails(t *testing.T) {
	const release = "; the object is not gone before that is mended: to give it up, run wasmloop release, which removes its finalizer wasmloop.dev/tester"
	tests := map[string]struct {
		reason string
		answer string
		err    error
		event  string
	}{
		"trap":    {"nobody knows whether all is done", "", trap{}, "Warning ModuleFailed on a: it trapped" + release},
		"error":   {"the module says that it is not", `{"finalized":true,"error":{"message":"no"}}`, nil, "Warning ModuleFailed on a: module failed: no" + release},
		"invalid": {"half an answer is none", `{"finalized":true,"x":1}`, nil, "Warning InvalidResponse on a: invalid response from the module: x: unknown field" + release},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap), Finalize: true})
			b.reconcileOnce()
			b.settle(wants("a"))
			b.delete(thing, b.name)
			b.answer, b.answerErr = tt.answer, tt.err
			if _, err := b.Reconcile(t.Context(), b.name); err == nil {
				t.Errorf("%s: want an error", tt.reason)
			}
			if diff := cmp.Diff(did{Calls: 1, Events: []string{tt.event}}, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if diff := cmp.Diff([]string{"wasmloop.dev/tester"}, b.finalizers()); diff != "" {
				t.Errorf("%s: finalizers: -want +got:\n%s", tt.reason, diff)
			}
			b.answer, b.answerErr = `{"finalized":true}`, nil
			b.reconcileOnce()
			if found := b.observe(thing, b.name); found != nil {
				t.Errorf("it was mended: got %v, want that it is gone", found)
			}
		})
	}
}

// TestFinalizeNoMore runs a controller on what it left when its config still said finalize.
func TestFinalizeNoMore(t *testing.T) {
	tests := map[string]struct {
		reason string
		delete bool
		answer string
		want   did
	}{
		"being deleted": {"nobody is to be asked any more, so it may go", true, "", did{Writes: 1}},
		"in use":        {"there is nothing to be held for", false, wants(), did{Calls: 1, Writes: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap)})
			b.edit(thing, b.name, func(object map[string]any) {
				object["metadata"].(map[string]any)["finalizers"] = []any{"example.com/theirs", "wasmloop.dev/tester", "wasmloop.dev/other"}
			})
			if tt.delete {
				b.delete(thing, b.name)
			}
			b.answer = tt.answer
			b.reconcileOnce()
			if diff := cmp.Diff(tt.want, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if diff := cmp.Diff([]string{"example.com/theirs", "wasmloop.dev/other"}, b.finalizers()); diff != "" {
				t.Errorf("%s: others' stay: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestFinalizeTooLate meets an object that is being deleted and has no finalizer of ours: none can be added any more.
func TestFinalizeTooLate(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(configMap), Finalize: true})
	b.edit(thing, b.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["finalizers"] = []any{"example.com/theirs"}
	})
	b.delete(thing, b.name)
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
