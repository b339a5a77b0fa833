package meter

// Declaring a local takes no room in a module, while compiling it does. Functions have as many as in browsers.
const (
	maxLocals    = 50_000
	maxAllLocals = 10_000_000
)

// Compiling a function takes time in proportion to its blocks times its variables, and to its blocks times the ways
// between them; both can be thousands in a few KiB. These bound what effort returns.
const (
	maxEffort    = 32_000_000
	maxAllEffort = 512_000_000
	// variableWeight is how much more a variable takes than a way from block to block.
	variableWeight = 8
	// loopWeight is how much more a loop takes than another block.
	loopWeight = 4
)

func (w *rewriting) writeCode() []byte {
	r := w.open(sectionCode)
	defined := len(w.functions) - w.importedFunctions
	if r == nil {
		return nil // without bodies for its functions, the engine refuses it
	}
	n := r.count("function bodies")
	if n != defined {
		r.fail("%d function bodies for %d functions", n, defined)
	}
	bodies := make([]*reader, n)
	for i := range bodies {
		if bodies[i] = r.sub(r.count("bytes of a function")); len(bodies[i].data) > w.options.MaxFunctionSize {
			bodies[i].fail("function %d has %d bytes, which is more than the limit of %d",
				w.importedFunctions+i, len(bodies[i].data), w.options.MaxFunctionSize)
		}
	}
	r.end("code")
	w.findSmall(bodies)
	out := appendU32(make([]byte, 0, len(r.data)+len(r.data)/4), uint32(n))
	b := &body{rewriting: w}
	for i, code := range bodies {
		b.rewrite(w.importedFunctions+i, code)
		out = b.appendTo(out)
	}
	return out
}

// body rewrites one function at a time.
type body struct {
	*rewriting
	*reader
	code     []byte // the new instructions
	copied   int    // what has been copied of the old ones
	skipped  int    // how much of code is left out at its start: what pays at the function's entry, if others do
	declared []byte // the declarations of locals
	groups   int    // how many of them
	locals   int    // how many there are, parameters included
	added    int    // how many of extraLocals are added
	// allLocals are those of all functions so far.
	allLocals uint64
	allEffort uint64 // likewise
	blocks    int    // how many blocks the function has
	ways      int    // how many branches
	segments  []segment
	frames    []frame // the open blocks, the innermost last
	segment   int     // that of the innermost
	straight  bool    // whether all code so far leads to here and nowhere else
	entered   int     // the segment of a loop that each call of the function enters first, 0 if there is none
	calls     []call
	indirect  bool // whether it calls what a table holds
	gotos     gotos
}

// frame is an open block.
type frame struct {
	segment int // what its instructions are part of
	loops   int // how many loops it is in, itself included, other than dispatchers: each is in one that was added
	// dispatcher is one more than the index of the dispatcher that it is part of, 0 if there is none.
	dispatcher int
	isHeader   bool // whether it is the dispatcher's loop
}

// inner returns the innermost open block.
func (b *body) inner() *frame { return &b.frames[len(b.frames)-1] }

// extraLocals are the types of locals that can be added: one for the length of a bulk operation, and one for the fuel.
var extraLocals = []byte{1, typeI32, 1, typeI64}

// rewrite rewrites a function.
func (b *body) rewrite(function int, code *reader) {
	from := *code // which is read again if it is small
	b.reader, b.code, b.skipped, b.added = &from, b.code[:0], 0, 0
	b.segments, b.segment, b.frames, b.calls = b.segments[:0], 0, append(b.frames[:0], frame{}), b.calls[:0]
	b.straight, b.entered, b.indirect, b.blocks, b.ways = true, 0, false, 0, 0
	b.gotos.reset()
	b.readLocals(b.types[b.functions[function]].params)
	b.copied = b.pos
	b.segments = append(b.segments, segment{at: b.pay(0)})
	b.check()
	entry := len(b.code)
	for len(b.frames) > 0 {
		b.segments[b.segment].instructions++
		b.instruction()
	}
	b.end("a function")
	b.checkEffort(function)
	b.flush(b.pos)
	b.settleEntry(function, entry)
	for _, s := range b.segments {
		s.fillIn(b.code)
	}
}

// settleEntry decides who pays for a function's code outside of loops: it, up to entry, or others.
func (b *body) settleEntry(function, entry int) {
	switch own := b.segments[0].instructions; {
	case b.small[function] > 0:
		b.skipped = entry
	case b.entered > 0 && own <= instructionsPerUnit: // it is little but a loop, which pays for both
		b.segments[b.entered].instructions += own
		b.skipped = entry
	}
}

// checkEffort refuses what would take too long to compile.
func (b *body) checkEffort(function int) {
	effort := uint64(b.blocks) * uint64(variableWeight*(b.locals+b.mutable)+b.blocks+b.ways)
	if effort > maxEffort {
		b.fail("function %d takes too long to compile: %d blocks, %d branches and %d variables are over the limit of %d",
			function, b.blocks, b.ways, b.locals+b.mutable, maxEffort)
	}
	if b.allEffort += effort; b.allEffort > maxAllEffort {
		b.fail("the functions up to %d take too long to compile: their blocks, branches and variables are over the limit of %d",
			function, maxAllEffort)
	}
}

func (b *body) readLocals(params int) {
	b.groups = b.count("groups of locals")
	start, total := b.pos, uint64(params)
	for range b.groups {
		total += uint64(b.u32())
		if t := b.byte(); !isValueType(t) {
			b.pos--
			b.fail("value type %#x is not supported: it is not of WebAssembly 2.0", t)
		}
	}
	if total > maxLocals {
		b.fail("%d locals are more than the limit of %d", total, maxLocals)
	}
	if b.allLocals += total; b.allLocals > maxAllLocals {
		b.fail("%d locals are more than the limit of %d for all functions together", b.allLocals, maxAllLocals)
	}
	b.locals, b.declared = int(total), b.data[start:b.pos]
}

// appendTo appends the function with its size.
func (b *body) appendTo(dst []byte) []byte {
	var head [16]byte
	locals := appendU32(head[:0], uint32(b.groups+b.added))
	extra := extraLocals[:2*b.added]
	code := b.code[b.skipped:]
	dst = appendU32(dst, uint32(len(locals)+len(b.declared)+len(extra)+len(code)))
	dst = append(dst, locals...)
	dst = append(dst, b.declared...)
	dst = append(dst, extra...)
	return append(dst, code...)
}

// flush copies the old instructions up to a place.
func (b *body) flush(to int) {
	b.code = append(b.code, b.data[b.copied:to]...)
	b.copied = to
}

func (b *body) emit(bytes ...byte) { b.code = append(b.code, bytes...) }

func (b *body) emitIndex(index uint32) { b.code = appendU32(b.code, index) }

// instruction reads one instruction, checks its indices against the module's own, and copies or rewrites it.
func (b *body) instruction() {
	at := b.pos
	op := b.byte()
	b.straight = b.straight && goesOn(op)
	switch immediates[op] {
	case none:
		if op == opEnd {
			b.close()
		}
	case blockType:
		b.block(op)
	case local:
		b.local(at, op)
	case i32:
		b.gotos.constant(uint32(b.signed(32)), b.pos)
	case i64:
		b.signed(64)
	case memoryArgument:
		b.memoryArgument()
	case label:
		b.branch(at, op)
	case labels:
		b.branchTable(at)
	case function:
		b.functionIndex(op)
	case globalIndex:
		b.index("global", len(b.globals))
	default:
		b.rareInstruction(at, op)
	}
}

// goesOn tells whether an instruction, unless it traps, is always followed by the next one, and calls nothing.
func goesOn(op byte) bool {
	return op == opBlock || op == opLoop || op >= opDrop && op < opPrefixMisc && op != opMemoryGrow
}

func (b *body) local(at int, op byte) {
	local := b.index("local", b.locals)
	if op == opLocalSet {
		b.gotos.set(at, b.pos, local)
	}
}

// block reads the type of a block.
func (b *body) block(op byte) {
	start, simple := b.pos-1, true
	b.blocks++
	if t := b.peek(); t == typeEmpty || isValueType(t) {
		b.pos++
	} else if index := b.signed(33); index < 0 || index >= int64(len(b.types)) {
		b.fail("block type %d does not exist: there are %d types", index, len(b.types))
	} else {
		simple = false
	}
	switch {
	case op == opLoop && simple && b.openDispatcher():
	case op == opLoop:
		b.openLoop(start, simple)
	default:
		f := *b.inner()
		f.isHeader, f.dispatcher = false, b.gotos.nextBlock()
		b.frames = append(b.frames, f)
	}
}

// close closes the innermost block, and what was added around it.
func (b *body) close() {
	f := *b.inner()
	b.frames = b.frames[:len(b.frames)-1]
	if len(b.frames) == 0 {
		return
	}
	b.segment = b.inner().segment
	if f.loops > b.inner().loops {
		b.flush(b.pos)
		b.emit(opEnd)
	}
	if f.dispatcher > 0 && !f.isHeader {
		b.closeTarget(f.dispatcher - 1)
	}
}

func (b *body) peek() byte {
	if b.done() {
		b.fail("unexpected end")
	}
	return b.data[b.pos]
}

// branch reads a br or br_if.
func (b *body) branch(at int, op byte) {
	label := b.u32()
	b.ways++
	if d := b.dispatcherOf(label); d != nil {
		b.goTo(at, op, d)
	}
	if moved := b.movedLabel(label); moved != label {
		b.flush(at)
		b.emit(op)
		b.emitIndex(moved)
		b.copied = b.pos
	}
}

// branchTable reads a br_table. One that may go to a dispatcher is paid for.
func (b *body) branchTable(at int) {
	g, n, start := &b.gotos, b.count("labels")+1, b.pos // the default is one more
	first := len(g.targets)
	b.ways += n
	var back *dispatcher // the outermost
	moved := false
	for range n {
		label := b.u32()
		g.targets = append(g.targets, label)
		moved = moved || b.movedLabel(label) != label
		if d := b.dispatcherOf(label); d != nil && (back == nil || d.start < back.start) {
			back = d
		}
	}
	if back != nil {
		b.goBack(at, back, back.start)
	}
	if moved {
		b.flush(start)
		for _, label := range g.targets[first:] {
			b.emitIndex(b.movedLabel(label))
		}
		b.copied = b.pos
	}
	if d := b.inner().dispatcher; d > 0 && g.dispatchers[d-1].table == at {
		g.dispatchers[d-1].targets, g.dispatchers[d-1].labels = first, n
	} else {
		g.targets = g.targets[:first]
	}
}

// movedLabel returns a label with the loops counted in that were added between it and here.
func (b *body) movedLabel(label uint32) uint32 {
	if int64(label) >= int64(len(b.frames)) { // the engine refuses it
		return label
	}
	return label + uint32(b.inner().loops-b.frames[len(b.frames)-1-int(label)].loops)
}

func (b *body) memoryArgument() {
	if align := b.u32(); align >= 64 {
		b.fail("a memory index is not supported: it is not of WebAssembly 2.0")
	}
	b.u32()
}

// functionIndex moves the index of a call or a reference.
func (b *body) functionIndex(op byte) {
	before := b.pos
	index := b.index("function", len(b.functions))
	b.flush(before)
	b.emitIndex(b.moved(index))
	b.copied = b.pos
	if op == opCall {
		b.call(index)
	}
}

// rareInstruction reads what is seldom in code.
func (b *body) rareInstruction(at int, op byte) {
	switch immediates[op] {
	case indirect:
		b.index("type", len(b.types))
		b.index("table", b.tables)
		b.callIndirect()
	case table:
		b.index("table", b.tables)
		if op == opTableSet {
			b.uncapturable = "its code changes a table"
		}
	case memoryIndex:
		b.zero()
		if op == opMemoryGrow {
			b.chargePages(at)
		}
	case f32:
		b.skip(4)
	case f64:
		b.skip(8)
	case referenceType:
		b.byte()
	case valueTypes:
		b.valueTypes(b.reader)
	case prefixMisc:
		b.miscInstruction(at)
	case prefixVector:
		b.vectorInstruction()
	default:
		b.pos = at
		b.fail("%s is not supported: it is not of WebAssembly 2.0", opcodeName(op))
	}
}

// zero reads the index of the only memory that there can be.
func (b *body) zero() {
	if b.byte() != 0 {
		b.pos--
		b.fail("a memory index other than 0 is not supported: it is not of WebAssembly 2.0")
	}
}

// miscInstruction reads the instructions below opPrefixMisc: conversions, and bulk operations, which are charged for.
func (b *body) miscInstruction(at int) {
	switch op := b.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // conversions that do not trap
	case opMemoryInit:
		b.index("data segment", b.dataCount)
		b.zero()
		b.chargeBytes(at)
	case opDataDrop:
		b.index("data segment", b.dataCount)
		b.uncapturable = "its code drops a data segment"
	case opMemoryCopy:
		b.zero()
		b.zero()
		b.chargeBytes(at)
	case opMemoryFill:
		b.zero()
		b.chargeBytes(at)
	case opTableInit, opElemDrop, opTableCopy, opTableGrow, opTableSize, opTableFill:
		b.tableInstruction(at, op)
	default:
		b.fail("opcode 0xfc %d is not supported: it is not of WebAssembly 2.0", op)
	}
}

func (b *body) tableInstruction(at int, op uint32) {
	if op == opTableInit || op == opElemDrop {
		b.index("element segment", b.elementSegments)
	}
	if op != opElemDrop {
		b.index("table", b.tables)
	}
	if op == opTableCopy {
		b.index("table", b.tables)
	}
	switch op {
	case opTableSize:
	case opElemDrop:
		b.uncapturable = "its code drops an element segment"
	default:
		b.uncapturable = "its code changes a table"
		b.chargeElements(at)
	}
}

// vectorInstruction reads the instructions below opPrefixVector.
func (b *body) vectorInstruction() {
	switch op := b.u32(); {
	case op <= 11 || op == 92 || op == 93: // loads and stores
		b.memoryArgument()
	case op == opV128Const || op == 13: // 13 is i8x16.shuffle
		b.skip(16)
	case op >= 21 && op <= 34: // extract and replace lanes
		b.byte()
	case op >= 84 && op <= 91: // load and store lanes
		b.memoryArgument()
		b.byte()
	case op > 255:
		b.fail("opcode 0xfd %d is not supported: it is not of WebAssembly 2.0 (relaxed SIMD?)", op)
	}
}
