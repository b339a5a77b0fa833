package meter

import (
	"bytes"
	"fmt"
	"math"
)

// The ids of the sections.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

// sectionOrder is the order that sections must come in, and the names that errors have for them.
var sectionOrder = []struct {
	id   byte
	name string
}{
	{sectionType, "types"},
	{sectionImport, "imports"},
	{sectionFunction, "functions"},
	{sectionTable, "tables"},
	{sectionMemory, "memories"},
	{sectionGlobal, "globals"},
	{sectionExport, "exports"},
	{sectionStart, "start"},
	{sectionElement, "elements"},
	{sectionDataCount, "data count"},
	{sectionCode, "code"},
	{sectionData, "data"},
}

// Value types and what else stands for a type.
const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeF32       = 0x7d
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeFunc      = 0x60
	typeEmpty     = 0x40
)

// The kinds of imports and exports.
const (
	kindFunction = iota
	kindTable
	kindMemory
	kindGlobal
)

// module is an original module: its sections, and the sizes of its index spaces.
type module struct {
	options  Options
	sections [sectionDataCount + 1]*reader
	names    *reader // the content of the name section
	types    []funcType
	// functions are the types of all functions, the imported ones first.
	functions         []uint32
	importedFunctions int
	tables            int
	tableElements     uint64 // the initial sizes of all tables together
	imports           []string
	memories          int
	memory            uint32 // the initial size of the memory, in pages
	globals           []global
	mutable           int // how many globals are mutable
	exported          map[string]bool
	dataCount         int // -1: no data count section
	dataSegments      int
	elementSegments   int
	uncapturable      string
}

type funcType struct {
	params int // how many
	// isTick is true for (i64) -> (i64).
	isTick bool
}

type global struct {
	valueType byte
	mutable   bool
}

func parse(wasm []byte, options Options) *module {
	m := &module{options: options, exported: map[string]bool{}, dataCount: -1}
	r := &reader{data: wasm}
	if !bytes.Equal(r.bytes(8), []byte("\x00asm\x01\x00\x00\x00")) {
		r.pos = 0
		r.fail("not a WebAssembly module of version 1")
	}
	m.split(r)
	m.parseTypes()
	m.parseImports()
	m.parseFunctions()
	m.countSegments()
	m.parseTables()
	m.parseMemories()
	m.parseGlobals()
	return m
}

// split finds the sections and checks their order.
func (m *module) split(r *reader) {
	place := 0
	for !r.done() {
		id := r.byte()
		section := r.sub(r.count("bytes of a section"))
		if id == sectionCustom {
			m.custom(section)
			continue
		}
		for place < len(sectionOrder) && sectionOrder[place].id != id {
			place++
		}
		if place == len(sectionOrder) {
			section.fail("section %d is unknown, or comes twice or too late", id)
		}
		m.sections[id] = section
		place++
	}
}

// custom keeps the name section, which stack traces take their names from. Others mean nothing to an engine, and the
// places that debug information speaks of are no longer there.
func (m *module) custom(section *reader) {
	if section.name() == "name" {
		m.names = section.sub(len(section.data) - section.pos)
	}
}

// each reads a section that is a vector.
func (m *module) each(id byte, what string, read func(r *reader)) {
	if r := m.open(id); r != nil {
		for range r.count(what) {
			read(r)
		}
		r.end(what)
	}
}

// open returns a reader of a section from its start, nil if there is none.
func (m *module) open(id byte) *reader {
	if m.sections[id] == nil {
		return nil
	}
	r := *m.sections[id]
	return &r
}

func (m *module) parseTypes() {
	m.each(sectionType, "types", func(r *reader) {
		if b := r.byte(); b != typeFunc {
			r.pos--
			r.fail("type form %#x is not supported: it is not of WebAssembly 2.0", b)
		}
		params := m.valueTypes(r)
		results := m.valueTypes(r)
		isTick := string(params) == string([]byte{typeI64}) && string(results) == string([]byte{typeI64})
		m.types = append(m.types, funcType{len(params), isTick})
	})
}

func (m *module) valueTypes(r *reader) []byte {
	types := r.bytes(r.count("value types"))
	for i, t := range types {
		if !isValueType(t) {
			r.pos -= len(types) - i
			r.fail("value type %#x is not supported: it is not of WebAssembly 2.0", t)
		}
	}
	return types
}

func isValueType(t byte) bool { return t >= typeV128 && t <= typeI32 || isReferenceType(t) }

func isReferenceType(t byte) bool { return t == typeFuncref || t == typeExternref }

func (m *module) parseImports() {
	m.each(sectionImport, "imports", func(r *reader) {
		name := r.name() + "." + r.name()
		kind := r.byte()
		if kind != kindFunction {
			m.imports = append(m.imports, name)
		}
		switch kind {
		case kindFunction:
			m.functions = append(m.functions, r.index("type", len(m.types)))
			m.importedFunctions++
		case kindTable:
			m.tableType(r)
			m.tables++
			m.uncapturable = "it imports a table"
		case kindMemory:
			m.memoryType(r)
			m.uncapturable = "it imports its memory"
		case kindGlobal:
			m.globalType(r)
			m.uncapturable = "it imports a global"
		default:
			r.fail("import kind %#x is not supported: it is not of WebAssembly 2.0", kind)
		}
	})
}

func (m *module) parseFunctions() {
	m.each(sectionFunction, "functions", func(r *reader) {
		m.functions = append(m.functions, r.index("type", len(m.types)))
	})
	if len(m.functions) > m.options.MaxFunctions {
		(&reader{}).fail("%d functions are more than the limit of %d", len(m.functions), m.options.MaxFunctions)
	}
}

// countSegments finds out how many segments there are before the code that names them is read.
func (m *module) countSegments() {
	if r := m.open(sectionDataCount); r != nil {
		m.dataCount = int(r.u32())
		r.end("data count")
	}
	if r := m.open(sectionData); r != nil {
		m.dataSegments = r.count("data segments")
	}
	if r := m.open(sectionElement); r != nil {
		m.elementSegments = r.count("element segments")
	}
}

// limits reads a minimum and, if there is one, a maximum.
func (m *module) limits(r *reader) (least, most uint32, bounded bool) {
	switch flags := r.byte(); flags {
	case 0:
		return r.u32(), 0, false
	case 1:
		return r.u32(), r.u32(), true
	default:
		r.pos--
		r.fail("limits of form %#x are not supported: they are not of WebAssembly 2.0", flags)
		return 0, 0, false
	}
}

// tableType reads the type of a table.
func (m *module) tableType(r *reader) (element byte, least, most uint32) {
	if element = r.byte(); !isReferenceType(element) {
		r.pos--
		r.fail("table element type %#x is not supported: it is not of WebAssembly 2.0", element)
	}
	least, most, bounded := m.limits(r)
	if bounded && most < least {
		r.fail("a table's maximum %d is below its minimum %d", most, least)
	}
	if !bounded {
		most = math.MaxUint32
	}
	return element, least, most
}

func (m *module) memoryType(r *reader) {
	m.memory, _, _ = m.limits(r)
	m.memories++
}

func (m *module) globalType(r *reader) {
	g := global{valueType: r.byte()}
	if !isValueType(g.valueType) {
		r.pos--
		r.fail("value type %#x is not supported: it is not of WebAssembly 2.0", g.valueType)
	}
	mutability := r.byte()
	if mutability > 1 {
		r.pos--
		r.fail("mutability %#x is neither 0 nor 1", mutability)
	}
	g.mutable = mutability == 1
	if isNumber := g.valueType >= typeF64; g.mutable && !isNumber {
		m.uncapturable = "it has a mutable global of a vector or reference type"
	}
	if g.mutable {
		m.mutable++
	}
	m.globals = append(m.globals, g)
}

// parseTables, parseMemories and parseGlobals only look here: the sections are read again when they are written anew.
func (m *module) parseTables() {
	m.each(sectionTable, "tables", func(r *reader) {
		_, least, _ := m.tableType(r)
		m.tables++
		if m.tableElements += uint64(least); m.tableElements > uint64(m.options.MaxTable) {
			r.fail("tables of %d elements are over the limit of %d", m.tableElements, m.options.MaxTable)
		}
	})
}

func (m *module) parseMemories() {
	m.each(sectionMemory, "memories", func(r *reader) { m.memoryType(r) })
}

func (m *module) parseGlobals() {
	m.each(sectionGlobal, "globals", func(r *reader) {
		m.globalType(r)
		m.constant(r, nil)
	})
}

// fresh returns a name that the module does not export.
func (m *module) fresh(name string) string {
	for m.exported[name] {
		name += "_"
	}
	m.exported[name] = true
	return name
}

// mutableGlobals returns the exports to add for all mutable globals of number types.
func (m *module) mutableGlobals() (names []string, indices []uint32) {
	for i, g := range m.globals {
		if g.mutable && g.valueType >= typeF64 && g.valueType <= typeI32 {
			names = append(names, m.fresh(fmt.Sprint(globalExport, i)))
			indices = append(indices, uint32(i))
		}
	}
	return names, indices
}
