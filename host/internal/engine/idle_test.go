package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIdler gives memory back once after each burst of work, and not while it goes on.
func TestIdler(t *testing.T) {
	times := 0
	i := &idler{giveBack: func() { times++ }}
	const mib = 1 << 20
	var got []int
	for _, allocated := range []uint64{100 * mib, 200 * mib, 201 * mib, 202 * mib, 205 * mib, 206 * mib, 230 * mib, 231 * mib} {
		i.look(allocated)
		got = append(got, times)
	}
	if diff := cmp.Diff([]int{0, 0, 1, 1, 1, 1, 1, 2}, got); diff != "" {
		t.Errorf("how often memory was given back: -want +got:\n%s", diff)
	}
	if allocations() == 0 {
		t.Error("nothing was ever allocated")
	}
}
