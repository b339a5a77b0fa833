package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// TestResync looks at objects again, and says which of them are not as they were left.
func TestResync(t *testing.T) {
	related := []abi.Related{{APIVersion: "v1", Kind: "ConfigMap", Names: []string{"shared"}}}
	b := newBench(t, Controller{
		For: thing, Owns: []OwnedKind{{Kind: configMap, Options: apply.KindOptions{Strategy: apply.InPlace}}}, Resync: time.Hour,
		Related: RelatedOptions{Rules: related},
	})
	b.settle(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}`)
	pass := func(reason string, wantDue int, want ...types.NamespacedName) {
		t.Helper()
		due, differing := b.Resync(t.Context())
		if due != wantDue || !cmp.Equal(want, differing) {
			t.Errorf("%s: got %d due, %v differing, want %d, %v", reason, due, differing, wantDue, want)
		}
		if diff := cmp.Diff(did{}, b.did()); diff != "" {
			t.Errorf("%s: a resync does nothing: -want +got:\n%s", reason, diff)
		}
	}
	pass("nothing is due yet", 0)
	b.time = b.time.Add(time.Hour)
	pass("all is as it was left", 1)
	pass("it was just looked at", 0)
	b.time = b.time.Add(time.Hour)
	b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}}`)
	pass("a related object is there now", 1, b.name)
	pass("it is in the queue now", 0)
	b.reconcileOnce()
	b.did()
	b.time = b.time.Add(time.Hour)
	pass("it was looked at", 1)
	b.time = b.time.Add(time.Hour)
	b.resize(7)
	pass("it has changed, and no event has told of it", 1, b.name)
	b.answer = "nonsense"
	if _, err := b.Reconcile(t.Context(), b.name); err == nil {
		t.Error("nonsense is no answer")
	}
	b.did()
	b.time = b.time.Add(time.Hour)
	pass("what has failed for good is tried again", 1, b.name)
}
