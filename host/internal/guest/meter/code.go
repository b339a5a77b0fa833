package meter

// What things cost in units of fuel.
const (
	// instructionsPerUnit is how many instructions one unit pays for beyond the one that each payment costs. Compilers
	// that turn gotos into loops, Go's above all, have large loops of which each iteration runs little: counting each
	// instruction of them would overstate their work by far.
	instructionsPerUnit = 64
	// Bulk operations cost this beside the instruction itself.
	bytesPerUnitLog2 = 4       // memory.copy, fill and init: 16 bytes a unit; table operations: 1 element a unit
	unitsPerPage     = 1 << 10 // memory.grow: a page of 64 KiB is 16 page faults, should it be used
	maxGrowth        = 1 << 16 // pages: more than there can be
)

// Declaring a local takes no room in a module, while compiling it does. Functions have as many as in browsers.
const (
	maxLocals    = 50_000
	maxAllLocals = 10_000_000
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
	out := appendU32(make([]byte, 0, len(r.data)+len(r.data)/2), uint32(n))
	b := &body{rewriting: w}
	for i := range n {
		b.reader = r.sub(r.count("bytes of a function"))
		b.rewrite(w.types[w.functions[w.importedFunctions+i]].params)
		out = b.appendTo(out)
	}
	r.end("code")
	return out
}

// body rewrites one function at a time.
type body struct {
	*rewriting
	*reader
	code     []byte // the new instructions
	copied   int    // what has been copied of the old ones
	locals   int    // how many there are, parameters included
	declared []byte // the declarations of locals
	groups   int    // how many of them
	// allLocals are those of all functions so far.
	allLocals uint64
	scratch   bool // whether a local was added, for the length of a bulk operation
	segments  []segment
	frames    []int // the segment of each open block, the innermost last
	straight  bool  // whether all code so far leads to here and nowhere else
	entered   int   // the segment of a loop that each call of the function enters first, 0 if there is none
	skipped   int   // how much of code is left out at its start: what pays at the function's entry, if a loop does
}

// segment is a stretch of code that is paid for at once: a function without its loops, or a loop without the loops in
// it. Within it control only goes forward, so that each instruction runs once at most for each payment.
type segment struct {
	at           int // where in code the cost belongs
	instructions uint64
}

func (s segment) cost() uint64 { return 1 + s.instructions/instructionsPerUnit }

func (b *body) rewrite(params int) {
	b.code, b.scratch, b.segments, b.frames = b.code[:0], false, b.segments[:0], b.frames[:0]
	b.straight, b.entered, b.skipped = true, 0, 0
	b.readLocals(params)
	b.copied = b.pos
	b.open()
	entry := len(b.code)
	for len(b.frames) > 0 {
		b.segments[b.frames[len(b.frames)-1]].instructions++
		b.instruction()
	}
	b.end("a function")
	b.flush(b.pos)
	// A function that is little but a loop, as most of Go's are, is paid for with it.
	if own := b.segments[0].instructions; b.entered > 0 && own <= instructionsPerUnit {
		b.segments[b.entered].instructions += own
		b.skipped = entry
	}
	for _, s := range b.segments {
		putCost(b.code[s.at:], s.cost())
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
	groups := b.groups
	if b.scratch {
		groups++
	}
	var head [16]byte
	locals := appendU32(head[:0], uint32(groups))
	code := b.code[b.skipped:]
	size := len(locals) + len(b.declared) + len(code)
	if b.scratch {
		size += 2
	}
	dst = append(appendU32(dst, uint32(size)), locals...)
	dst = append(dst, b.declared...)
	if b.scratch {
		dst = append(dst, 1, typeI32)
	}
	return append(dst, code...)
}

// flush copies the old instructions up to a place.
func (b *body) flush(to int) {
	b.code = append(b.code, b.data[b.copied:to]...)
	b.copied = to
}

// open begins a segment: here is where it is paid for.
func (b *body) open() {
	b.frames = append(b.frames, len(b.segments))
	b.emit(opGlobalGet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opI64Const)
	b.segments = append(b.segments, segment{at: len(b.code)})
	b.code = append(b.code, make([]byte, costWidth)...)
	b.emit(opI64Sub)
	b.settle()
}

// settle stores the new amount of fuel, which is on the stack, and calls the tick if it is below zero.
func (b *body) settle() {
	b.emit(opGlobalSet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opGlobalGet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opI64Const, 0, opI64LtS, opIf, typeEmpty, opGlobalGet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opCall)
	b.emitIndex(b.tickFunction)
	b.emit(opGlobalSet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opEnd)
}

func (b *body) emit(bytes ...byte) { b.code = append(b.code, bytes...) }

func (b *body) emitIndex(index uint32) { b.code = appendU32(b.code, index) }

// chargeLength charges for the number on top of the stack, which stays there: emit turns it, as an i64, into units.
func (b *body) chargeLength(at int, toUnits func()) {
	b.flush(at)
	b.scratch = true
	b.emit(opLocalTee)
	b.emitIndex(uint32(b.locals))
	b.emit(opGlobalGet)
	b.emitIndex(b.fuelGlobal)
	b.emit(opLocalGet)
	b.emitIndex(uint32(b.locals))
	toUnits()
	b.emit(opI64Sub)
	b.settle()
}

func (b *body) chargeBytes(at int) {
	b.chargeLength(at, func() { b.emit(opI64ExtendU, opI64Const, bytesPerUnitLog2, opI64ShrU) })
}

func (b *body) chargeElements(at int) {
	b.chargeLength(at, func() { b.emit(opI64ExtendU) })
}

// chargePages charges for memory.grow. More pages than there can be are a question that the engine answers with no, and
// are charged as if it were as many as there can be.
func (b *body) chargePages(at int) {
	b.chargeLength(at, func() {
		most := appendSigned([]byte{opI32Const}, maxGrowth)
		b.emit(most...)
		b.emit(opLocalGet)
		b.emitIndex(uint32(b.locals))
		b.emit(most...)
		b.emit(opI32LtU, opSelect, opI64ExtendU, opI64Const)
		b.code = appendSigned(b.code, unitsPerPage)
		b.emit(opI64Mul)
	})
}

// instruction reads one instruction, checks its indices against the module's own, and copies or rewrites it.
func (b *body) instruction() {
	at := b.pos
	op := b.byte()
	b.straight = b.straight && goesOn(op)
	switch immediates[op] {
	case none:
		if op == opEnd {
			b.frames = b.frames[:len(b.frames)-1]
		}
	case blockType:
		b.block(op)
	case local:
		b.index("local", b.locals)
	case i32:
		b.signed(32)
	case i64:
		b.signed(64)
	case memoryArgument:
		b.memoryArgument()
	case label:
		b.u32()
	case labels:
		for range b.count("labels") {
			b.u32()
		}
		b.u32()
	case function:
		b.functionIndex()
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

// block reads the type of a block. A loop is paid for at its header.
func (b *body) block(op byte) {
	if t := b.peek(); t == typeEmpty || isValueType(t) {
		b.pos++
	} else if index := b.signed(33); index < 0 || index >= int64(len(b.types)) {
		b.fail("block type %d does not exist: there are %d types", index, len(b.types))
	}
	if op == opLoop {
		if b.straight {
			b.entered, b.straight = len(b.segments), false
		}
		b.flush(b.pos)
		b.open()
		return
	}
	b.frames = append(b.frames, b.frames[len(b.frames)-1])
}

func (b *body) peek() byte {
	if b.done() {
		b.fail("unexpected end")
	}
	return b.data[b.pos]
}

func (b *body) memoryArgument() {
	if align := b.u32(); align >= 64 {
		b.fail("a memory index is not supported: it is not of WebAssembly 2.0")
	}
	b.u32()
}

// functionIndex moves the index of a call or a reference.
func (b *body) functionIndex() {
	before := b.pos
	index := b.index("function", len(b.functions))
	b.flush(before)
	b.emitIndex(b.moved(index))
	b.copied = b.pos
}

// rareInstruction reads what is seldom in code.
func (b *body) rareInstruction(at int, op byte) {
	switch immediates[op] {
	case indirect:
		b.index("type", len(b.types))
		b.index("table", b.tables)
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
