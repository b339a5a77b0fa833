package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnchanged applies one child of many kinds twice: the second time nobody has changed anything, and the API server is
// not asked, though what it has made of the child is not what was applied.
func TestUnchanged(t *testing.T) {
	bench := newBench(t, Options{})
	for _, child := range bench.objects(t, "testdata/children.yaml") {
		t.Run(child.GetKind()+" "+child.GetName(), func(t *testing.T) {
			if got := bench.applyOneOf(t, child); got != Created {
				t.Fatalf("got %s, want %s", got, Created)
			}
			bench.requests.take()
			if got := bench.applyOneOf(t, child); got != Unchanged {
				t.Errorf("got %s, want %s; our fields are %v", got, Unchanged, observe(t, child).ManagedFields(bench.manager, ""))
			}
			if diff := cmp.Diff([]string(nil), bench.requests.take()); diff != "" {
				t.Errorf("requests: -want +got:\n%s", diff)
			}
		})
	}
}
