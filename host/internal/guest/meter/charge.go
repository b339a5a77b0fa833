package meter

// What things cost in units of fuel.
const (
	// instructionsPerUnit is how many instructions one unit pays for beyond the one that each payment costs. Compilers
	// that turn gotos into loops, Go's above all, have large functions of which each call runs little: counting each
	// instruction of them would overstate their work by far.
	instructionsPerUnit = 64
	// Bulk operations cost this beside the instruction itself.
	bytesPerUnitLog2 = 4       // memory.copy, fill and init: 16 bytes a unit; table operations: 1 element a unit
	unitsPerPage     = 1 << 10 // memory.grow: a page of 64 KiB is 16 page faults, should it be used
	maxGrowth        = 1 << 16 // pages: more than there can be
)

// unitsFor returns what so many instructions cost that are paid for at once.
func unitsFor(instructions uint64) uint64 { return 1 + instructions/instructionsPerUnit }

// segment is a stretch of code that is paid for at once: a function without its loops, or a loop without the loops in
// it. Within it control only goes forward, but for gotos that pay for what they go back over, so that each instruction
// runs once at most for each payment.
type segment struct {
	at           int // where in code the cost belongs
	refund       int // where it belongs once more, 0 if it does not
	instructions uint64
}

func (s segment) fillIn(code []byte) {
	cost := unitsFor(s.instructions)
	putCost(code[s.at:], cost)
	if s.refund > 0 {
		putCost(code[s.refund:], cost)
	}
}

// cost emits a cost to be filled in, and returns where it is.
func (b *body) cost(cost uint64) (at int) {
	b.emit(opI64Const)
	at = len(b.code)
	b.code = append(b.code, make([]byte, costWidth)...)
	putCost(b.code[at:], cost)
	return at
}

// pay pays a cost. What follows has to look whether there was enough fuel. It returns where the cost is.
func (b *body) pay(cost uint64) (at int) {
	b.emitFuel(opGlobalGet)
	at = b.cost(cost)
	b.emit(opI64Sub)
	b.emitFuel(opGlobalSet)
	return at
}

// check calls the tick if there was not enough fuel.
func (b *body) check() {
	b.ifEmpty()
	b.emitFuel(opGlobalGet)
	b.emit(opCall)
	b.emitIndex(b.tickFunction)
	b.emitFuel(opGlobalSet)
	b.emit(opEnd)
}

// ifEmpty opens a block for when there was not enough fuel.
func (b *body) ifEmpty() {
	b.emitFuel(opGlobalGet)
	b.emit(opI64Const, 0, opI64LtS, opIf, typeEmpty)
}

// emitFuel emits an instruction on the fuel counter.
func (b *body) emitFuel(op byte) {
	b.emit(op)
	b.emitIndex(b.fuelGlobal)
}

// openLoop opens a loop that begins at start, within one that is added:
//
//	loop
//	  if fuel < 0: fuel = tick(fuel) + cost
//	  loop
//	    fuel -= cost
//	    if fuel < 0: continue with the outer loop
//
// Calling the tick in the loop itself would cost it the registers that its variables are in. For the same reason the
// counter is in a local here, which has the same value; loading it from memory, where it has just been stored, would take as
// long as a few instructions.
func (b *body) openLoop(start int, simple bool) {
	if b.straight {
		b.entered, b.straight = len(b.segments), false
	}
	b.added = max(b.added, 2)
	b.blocks += loopWeight - 1
	b.flush(start)
	b.emit(b.data[start:b.pos]...)
	b.ifEmpty()
	b.emitFuel(opGlobalGet)
	b.emit(opCall)
	b.emitIndex(b.tickFunction)
	s := segment{refund: b.cost(0)}
	b.emit(opI64Add)
	b.emitFuel(opGlobalSet)
	b.emit(opEnd)
	b.loadFuel()
	b.flush(b.pos)
	b.emitFuelLocal(opLocalGet)
	s.at = b.cost(0)
	b.emit(opI64Sub)
	b.emitFuelLocal(opLocalTee)
	b.emitFuel(opGlobalSet)
	b.emitFuelLocal(opLocalGet)
	b.emit(opI64Const, 0, opI64LtS)
	if simple { // a comparison that an if follows takes the engine fewer instructions
		b.emit(opIf, typeEmpty, opBr, 2, opEnd)
	} else {
		b.emit(opBrIf, 1)
	}
	b.segment = len(b.segments)
	b.frames = append(b.frames, frame{segment: b.segment, loops: b.inner().loops + 1})
	b.segments = append(b.segments, s)
}

func (b *body) emitFuelLocal(op byte) {
	b.emit(op)
	b.emitIndex(uint32(b.locals) + 1)
}

// loadFuel brings the local that has the fuel up to date.
func (b *body) loadFuel() {
	b.emitFuel(opGlobalGet)
	b.emitFuelLocal(opLocalSet)
}

// changed does so in a loop, after something that has changed the counter.
func (b *body) changed() {
	if b.inner().loops > 0 {
		b.loadFuel()
	}
}

// chargeLength charges for the number on top of the stack, which stays there: emit turns it, as an i64, into units.
func (b *body) chargeLength(at int, toUnits func()) {
	b.flush(at)
	b.added = max(b.added, 1)
	b.emit(opLocalTee)
	b.emitIndex(uint32(b.locals))
	b.emitFuel(opGlobalGet)
	b.emit(opLocalGet)
	b.emitIndex(uint32(b.locals))
	toUnits()
	b.emit(opI64Sub)
	b.emitFuel(opGlobalSet)
	b.check()
	b.changed()
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
