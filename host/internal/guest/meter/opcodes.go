package meter

import "fmt"

// The opcodes that the rewriting looks at or writes.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opCall         = 0x10
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableSet     = 0x26
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtU       = 0x49
	opI64LtS       = 0x53
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opPrefixMisc   = 0xfc
	opPrefixVector = 0xfd
)

// Those of the opcodes below opPrefixMisc and opPrefixVector.
const (
	opMemoryInit = 8
	opDataDrop   = 9
	opMemoryCopy = 10
	opMemoryFill = 11
	opTableInit  = 12
	opElemDrop   = 13
	opTableCopy  = 14
	opTableGrow  = 15
	opTableSize  = 16
	opTableFill  = 17

	opV128Const = 12
)

// immediate is what follows an opcode.
type immediate byte

const (
	unsupported immediate = iota
	none
	blockType
	label
	labels
	function
	indirect
	local
	globalIndex
	table
	memoryArgument
	memoryIndex
	i32
	i64
	f32
	f64
	referenceType
	valueTypes
	prefixMisc
	prefixVector
)

// immediates are those of the one-byte opcodes.
var immediates = func() (table_ [256]immediate) {
	set := func(kind immediate, from, to int) {
		for op := from; op <= to; op++ {
			table_[op] = kind
		}
	}
	set(none, 0x00, 0x01)        // unreachable, nop
	set(blockType, 0x02, 0x04)   // block, loop, if
	set(none, 0x05, 0x05)        // else
	set(none, 0x0b, 0x0b)        // end
	set(label, 0x0c, 0x0d)       // br, br_if
	set(labels, 0x0e, 0x0e)      // br_table
	set(none, 0x0f, 0x0f)        // return
	set(function, 0x10, 0x10)    // call
	set(indirect, 0x11, 0x11)    // call_indirect
	set(none, 0x1a, 0x1b)        // drop, select
	set(valueTypes, 0x1c, 0x1c)  // select with a type
	set(local, 0x20, 0x22)       // local.get, set, tee
	set(globalIndex, 0x23, 0x24) // global.get, set
	set(table, 0x25, 0x26)       // table.get, set
	set(memoryArgument, 0x28, 0x3e)
	set(memoryIndex, 0x3f, 0x40) // memory.size, grow
	set(i32, 0x41, 0x41)
	set(i64, 0x42, 0x42)
	set(f32, 0x43, 0x43)
	set(f64, 0x44, 0x44)
	set(none, 0x45, 0xc4)          // comparisons, arithmetic, conversions
	set(referenceType, 0xd0, 0xd0) // ref.null
	set(none, 0xd1, 0xd1)          // ref.is_null
	set(function, 0xd2, 0xd2)      // ref.func
	set(prefixMisc, opPrefixMisc, opPrefixMisc)
	set(prefixVector, opPrefixVector, opPrefixVector)
	return table_
}()

// opcodeNames are those of opcodes that toolchains write though they are not of WebAssembly 2.0, so that an error can
// say what to switch off.
var opcodeNames = map[byte]string{
	0x06: "try (exception handling)", 0x07: "catch (exception handling)", 0x08: "throw (exception handling)",
	0x09: "rethrow (exception handling)", 0x0a: "throw_ref (exception handling)", 0x18: "delegate (exception handling)",
	0x19: "catch_all (exception handling)", 0x1f: "try_table (exception handling)",
	0x12: "return_call (tail calls)", 0x13: "return_call_indirect (tail calls)",
	0x14: "call_ref (typed function references)", 0x15: "return_call_ref (typed function references)",
	0xd3: "ref.eq (garbage collection)", 0xd4: "ref.as_non_null (typed function references)",
	0xd5: "br_on_null (typed function references)", 0xd6: "br_on_non_null (typed function references)",
	0xfb: "an instruction of garbage collection", 0xfe: "an atomic instruction (threads)",
}

func opcodeName(op byte) string {
	if name, ok := opcodeNames[op]; ok {
		return name
	}
	return fmt.Sprintf("opcode %#02x", op)
}
