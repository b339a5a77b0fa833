package meter

// Compilers of languages with gotos, Go's above all, put a function's code into one loop that begins with a table of
// branches, and write a goto as
//
//	i32.const WHERE
//	local.set X
//	br LOOP
//
// and the loop, which is called a dispatcher here, as
//
//	loop
//	  block ;; of a later part
//	    block ;; of the first part, which is the innermost
//	      local.get X
//	      br_table ...
//	    end
//	    code
//	  end
//	  code
//	end
//
// Most gotos go forward: to the end of a block that is still open where the goto stands. Those need no payment, since
// control comes back by a goto that goes backward, and that one pays for all the code that it goes back over. So a
// dispatcher pays nothing itself, and is part of the segment around it. All this is true of whatever code looks so,
// wherever it comes from.
type gotos struct {
	dispatchers []dispatcher
	targets     []uint32 // of all dispatchers
	ends        []uint64 // of all dispatchers
	opening     int      // how many of the blocks that follow are the last dispatcher's
	value       uint32   // the last constant
	valueEnd    int      // and where its instruction ends
	local       uint32   // the last local that such a constant was stored in
	localEnd    int      // and where that instruction ends
}

// dispatcher is a loop as above.
type dispatcher struct {
	segment int    // what it is part of
	start   uint64 // how many instructions the segment has before it
	local   uint32 // X
	table   int    // where its br_table is
	blocks  int    // how many blocks it begins with
	open    int    // how many of them are still open
	// targets and ends are where its parts of gotos.targets and ends begin: the labels of its br_table, and how many
	// instructions the segment has before the end of each block, the outermost first.
	targets, labels, ends int
}

func (g *gotos) reset() {
	g.dispatchers, g.targets, g.ends = g.dispatchers[:0], g.targets[:0], g.ends[:0]
	g.valueEnd, g.localEnd = -1, -1
}

// constant takes note of an i32.const.
func (g *gotos) constant(value uint32, end int) { g.value, g.valueEnd = value, end }

// set takes note of a local.set.
func (g *gotos) set(at, end int, local uint32) {
	if at == g.valueEnd {
		g.local, g.localEnd = local, end
	}
}

// nextBlock returns frame.dispatcher of a block that opens.
func (g *gotos) nextBlock() int {
	if g.opening == 0 {
		return 0
	}
	g.opening--
	return len(g.dispatchers)
}

// isDispatcher looks whether a loop begins as above.
func (b *body) isDispatcher() (d dispatcher, ok bool) {
	r := *b.reader
	for r.pos+1 < len(r.data) && r.data[r.pos] == opBlock && (r.data[r.pos+1] == typeEmpty || isValueType(r.data[r.pos+1])) {
		r.pos += 2
		d.blocks++
	}
	if d.blocks == 0 || r.done() || r.byte() != opLocalGet {
		return d, false
	}
	d.local, d.table = r.u32(), r.pos
	return d, !r.done() && r.data[r.pos] == opBrTable
}

// openDispatcher opens a loop, if it is a dispatcher.
func (b *body) openDispatcher() bool {
	d, ok := b.isDispatcher()
	if !ok {
		return false
	}
	f, g := *b.inner(), &b.gotos
	d.segment, d.start = f.segment, b.segments[f.segment].instructions
	d.open, d.ends, g.opening = d.blocks, len(g.ends), d.blocks
	for range d.blocks {
		g.ends = append(g.ends, 0)
	}
	g.dispatchers = append(g.dispatchers, d)
	f.dispatcher, f.isHeader = len(g.dispatchers), true
	b.frames = append(b.frames, f)
	return true
}

// closeTarget closes a block of a dispatcher.
func (b *body) closeTarget(dispatcher int) {
	d := &b.gotos.dispatchers[dispatcher]
	d.open--
	b.gotos.ends[d.ends+d.open] = b.segments[d.segment].instructions
}

// dispatcherOf returns the dispatcher that a branch to a label goes to, nil if it goes elsewhere.
func (b *body) dispatcherOf(label uint32) *dispatcher {
	if int64(label) >= int64(len(b.frames)) { // the engine refuses it
		return nil
	}
	f := &b.frames[len(b.frames)-1-int(label)]
	if !f.isHeader {
		return nil
	}
	return &b.gotos.dispatchers[f.dispatcher-1]
}

// dispatching is how many instructions run between a goto and its target.
const dispatching = 2

// goTo pays for a br or br_if to a dispatcher, unless it is known to go forward.
func (b *body) goTo(at int, op byte, d *dispatcher) {
	start, g := d.start, &b.gotos
	if op == opBr && at == g.localEnd && g.local == d.local {
		target := g.target(d)
		if target < d.open {
			b.segments[b.segment].instructions += dispatching
			return
		}
		if target < d.blocks {
			start = g.ends[d.ends+target]
		}
	}
	b.goBack(at, d, start)
}

// goBack pays for what can run again after going back to where a dispatcher's segment had so many instructions.
func (b *body) goBack(at int, d *dispatcher, start uint64) {
	b.flush(at)
	b.pay(unitsFor(b.segments[d.segment].instructions + dispatching - start))
	b.check()
	b.changed()
}

// target returns the block at whose end a goto to a dispatcher goes on, the outermost being 0; one that there is not if
// it goes elsewhere.
func (g *gotos) target(d *dispatcher) int {
	label := g.targets[d.targets+int(min(int64(g.value), int64(d.labels-1)))]
	if int64(label) >= int64(d.blocks) {
		return d.blocks
	}
	return d.blocks - 1 - int(label)
}
