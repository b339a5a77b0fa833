package guest

import (
	"strings"
	"testing"
)

// TestStackIsKept has a stack used by one call after the other, unless it has become large.
func TestStackIsKept(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "recursion_returns"), tight)
	idle := func() *instance { return m.program.idle[len(m.program.idle)-1] }
	expect(t, m, strings.Repeat("x", 10), "{}")
	kept := idle().called
	if kept == nil {
		t.Fatal("the stack is not kept: does wazero's function still have a field stack?")
	}
	if size, known := stackSize(kept); !known || size < 10<<10 {
		t.Errorf("got a stack of %d bytes, %t", size, known)
	}
	if expect(t, m, "", "{}"); idle().called != kept {
		t.Error("another function was called, with a stack of its own")
	}
	if expect(t, m, strings.Repeat("x", 10000), "{}"); idle().called != nil {
		t.Error("a large stack is kept")
	}
	if expect(t, m, "", "{}"); idle().called == nil || idle().called == kept {
		t.Error("no new stack is kept after the large one")
	}
}

// TestStackAfterTrap calls a module whose call before has ended in the middle of a recursion.
func TestStackAfterTrap(t *testing.T) {
	m := load(t, newRuntime(t, Options{}), fixture(t, "recursion_deep"), tight)
	for range 3 {
		expect(t, m, "x", "{}")
		if got, _ := callFor(t, m, ""); got.Limit != "call depth" {
			t.Errorf("outcome %+v, want the limit of call depth", got)
		}
	}
	expect(t, m, "x", "{}")
}
