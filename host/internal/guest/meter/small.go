package meter

// A function that runs few instructions is paid for by those who call it, as if its code stood in place of the call: a
// charge of its own would cost more than all that it does. What it does in loops it pays for itself.
const (
	// maxSmall is how many instructions such a function may run outside of loops, with those that it calls.
	maxSmall = instructionsPerUnit
	// maxSmallBytes is how long a function may be that is looked at, which is done twice.
	maxSmallBytes = 4 * maxSmall
	// maxHeight bounds how deep functions that do not pay may call each other.
	maxHeight = 8
)

// call is a call of a function.
type call struct {
	function uint32
	once     bool // whether it is outside of loops
}

// candidate is a function that may turn out to be small.
type candidate struct {
	function     uint32
	instructions uint64
	calls        []call
}

// call notes a call, and pays for the function where that does not pay itself.
func (b *body) call(function uint32) {
	b.calls = append(b.calls, call{function, b.segment == 0})
	b.segments[b.segment].instructions += uint64(b.small[function])
	b.changed()
}

// callIndirect notes a call of what a table holds, and pays for it as if it were any that does not pay itself.
func (b *body) callIndirect() {
	b.indirect = true
	b.segments[b.segment].instructions += maxSmall
	b.flush(b.pos)
	b.changed()
}

// findSmall finds the functions that others pay for. A function becomes one once it is known of all that it calls whether they
// are, so that none calls itself, by whatever detour: recursion is always paid for.
func (w *rewriting) findSmall(bodies []*reader) {
	undecided := w.candidates(bodies)
	waits := make([]bool, len(w.functions))
	for _, c := range undecided {
		waits[c.function] = true
	}
	for range maxHeight {
		var left []candidate
		for _, c := range undecided {
			total, known := w.total(c, waits)
			if !known {
				left = append(left, c)
				continue
			}
			waits[c.function] = false
			if total <= maxSmall {
				w.small[c.function] = uint32(total)
			}
		}
		undecided = left
	}
}

// total returns how many instructions a call of a function runs that others would pay for. It is not known while a
// function that is called waits.
func (w *rewriting) total(c candidate, waits []bool) (total uint64, known bool) {
	total = c.instructions
	for _, call := range c.calls {
		if waits[call.function] {
			return 0, false
		}
		if call.once {
			total += uint64(w.small[call.function])
		}
	}
	return total, true
}

// candidates reads all short functions. Those that the host calls pay themselves, so that there is no work for nothing;
// those that call what a table holds may call themselves.
func (w *rewriting) candidates(bodies []*reader) (found []candidate) {
	b := &body{rewriting: w}
	for i, code := range bodies {
		function := uint32(w.importedFunctions + i)
		if len(code.data) > maxSmallBytes || w.fromHost[function] {
			continue
		}
		b.rewrite(int(function), code)
		if own := b.segments[0].instructions; own <= maxSmall && !b.indirect {
			found = append(found, candidate{function, own, append([]call(nil), b.calls...)})
		}
	}
	return found
}
