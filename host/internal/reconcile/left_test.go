package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
