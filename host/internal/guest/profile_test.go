package guest

import "testing"

// TestProfile looks into the stacks of a Go module, and changes nothing of what it uses.
func TestProfile(t *testing.T) {
	call := func(options Options) (fuel uint64) {
		t.Helper()
		_, result := callFor(t, load(t, newRuntime(t, options), goModule, Limits{}), string(goRequest))
		return result.Fuel
	}
	looks, deepest := 0, 0
	profiled := call(Options{Profile: func(functions []string) { looks, deepest = looks+1, max(deepest, len(functions)) }})
	if plain := call(Options{}); profiled != plain {
		t.Errorf("a profiled call uses %d units of fuel, another one %d", profiled, plain)
	}
	if uint64(looks) < profiled/profileSlice/2 || deepest < 3 {
		t.Errorf("there were %d looks at %d units of fuel, with %d functions at most", looks, profiled, deepest)
	}
}
