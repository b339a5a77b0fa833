package meter

// rewriting is what is known once it is decided what to add.
type rewriting struct {
	*module
	tickType     uint32
	tickFunction uint32
	fuelGlobal   uint32
	// fromHost are the functions that the host may call.
	fromHost map[uint32]bool
	// small is how many instructions a call of a function runs that its callers pay for, 0 if it pays itself.
	small  []uint32
	result *Result
}

func (m *module) rewrite() *Result {
	w := &rewriting{
		module: m,
		// The tick is imported last, so that the indices of imported functions stay and all others move by one.
		tickFunction: uint32(m.importedFunctions),
		fuelGlobal:   uint32(len(m.globals)),
		fromHost:     map[uint32]bool{},
		small:        make([]uint32, len(m.functions)),
		result:       &Result{Memory: m.memory, Imports: m.imports},
	}
	sections := [sectionDataCount + 1][]byte{}
	sections[sectionType] = w.writeTypes()
	sections[sectionImport] = w.writeImports()
	sections[sectionFunction] = w.verbatim(sectionFunction)
	sections[sectionTable] = w.writeTables()
	sections[sectionMemory] = w.verbatim(sectionMemory)
	sections[sectionGlobal] = w.writeGlobals()
	sections[sectionExport] = w.writeExports()
	sections[sectionStart] = w.writeStart()
	sections[sectionElement] = w.writeElements()
	sections[sectionDataCount] = w.verbatim(sectionDataCount)
	sections[sectionCode] = w.writeCode()
	w.checkData()
	sections[sectionData] = w.verbatim(sectionData)
	size := 64
	for _, section := range sections {
		size += len(section) + 8
	}
	out := append(make([]byte, 0, size), "\x00asm\x01\x00\x00\x00"...)
	for _, section := range sectionOrder {
		if content := sections[section.id]; content != nil {
			out = appendSection(out, section.id, content)
		}
	}
	w.result.Wasm = w.appendNames(out)
	w.result.Uncapturable = m.uncapturable
	return w.result
}

func (w *rewriting) verbatim(id byte) []byte {
	if w.sections[id] == nil {
		return nil
	}
	return w.sections[id].data
}

// moved returns the new index of a function.
func (w *rewriting) moved(function uint32) uint32 {
	if function >= w.tickFunction {
		return function + 1
	}
	return function
}

// extended returns a vector section with more items at its end.
func (w *rewriting) extended(id byte, what string, added int, items []byte) []byte {
	r := w.open(id)
	if r == nil {
		return append(appendU32(nil, uint32(added)), items...)
	}
	n := r.count(what)
	out := appendU32(make([]byte, 0, len(r.data)+len(items)+8), uint32(n+added))
	out = append(out, r.data[r.pos:]...)
	return append(out, items...)
}

// writeTypes adds the type of the tick, unless it is there.
func (w *rewriting) writeTypes() []byte {
	for i, t := range w.types {
		if t.isTick {
			w.tickType = uint32(i)
			return w.verbatim(sectionType)
		}
	}
	w.tickType = uint32(len(w.types))
	return w.extended(sectionType, "types", 1, []byte{typeFunc, 1, typeI64, 1, typeI64})
}

func (w *rewriting) writeImports() []byte {
	tick := appendName(nil, TickModule)
	tick = appendName(tick, TickName)
	tick = appendU32(append(tick, kindFunction), w.tickType)
	return w.extended(sectionImport, "imports", 1, tick)
}

// writeTables bounds each table: what the limit leaves beyond their initial sizes they have equal shares of.
func (w *rewriting) writeTables() []byte {
	r := w.open(sectionTable)
	if r == nil {
		return nil
	}
	n := r.count("tables")
	out := appendU32(nil, uint32(n))
	share := (w.options.MaxTable - uint32(w.tableElements)) / uint32(max(n, 1))
	for range n {
		element, least, most := w.tableType(r)
		out = append(out, element, 1)
		out = appendU32(appendU32(out, least), min(most, least+share))
	}
	return out
}

// writeGlobals adds the fuel counter. Initial values may name functions.
func (w *rewriting) writeGlobals() []byte {
	var out []byte
	if r := w.open(sectionGlobal); r != nil {
		n := r.count("globals")
		out = appendU32(out, uint32(n+1))
		for range n {
			out = append(out, r.byte(), r.byte())
			out = w.constant(r, &copying{out: out, moved: w.moved})
		}
	} else {
		out = appendU32(out, 1)
	}
	return append(out, typeI64, 1, opI64Const, 0, opEnd)
}

func (w *rewriting) writeExports() []byte {
	var items []byte
	count := 0
	w.each(sectionExport, "exports", func(r *reader) {
		name := r.name()
		kind := r.byte()
		w.exported[name] = true
		items = append(appendName(items, name), kind)
		switch kind {
		case kindFunction:
			function := r.index("function", len(w.functions))
			w.fromHost[function] = true
			items = appendU32(items, w.moved(function))
		case kindTable:
			items = appendU32(items, r.index("table", w.tables))
		case kindMemory:
			items = appendU32(items, r.index("memory", w.memories))
		case kindGlobal:
			items = appendU32(items, r.index("global", len(w.globals)))
		default:
			r.fail("export kind %#x is not supported: it is not of WebAssembly 2.0", kind)
		}
		count++
	})
	names, indices := w.mutableGlobals()
	w.result.Globals, w.result.Fuel = names, w.fresh(fuelExport)
	for i, name := range append(names, w.result.Fuel) {
		index := w.fuelGlobal
		if i < len(indices) {
			index = indices[i]
		}
		items = appendU32(append(appendName(items, name), kindGlobal), index)
		count++
	}
	return append(appendU32(nil, uint32(count)), items...)
}

func (w *rewriting) writeStart() []byte {
	r := w.open(sectionStart)
	if r == nil {
		return nil
	}
	start := r.index("function", len(w.functions))
	r.end("start")
	w.fromHost[start] = true
	return appendU32(nil, w.moved(start))
}

// The flags of an element segment.
const (
	elementPassive     = 1 << iota // or declarative, with elementExplicit
	elementExplicit                // names its table, or its type
	elementExpressions             // holds expressions instead of function indices
)

func (w *rewriting) writeElements() []byte {
	r := w.open(sectionElement)
	if r == nil {
		return nil
	}
	n := r.count("element segments")
	c := &copying{out: appendU32(make([]byte, 0, len(r.data)+64), uint32(n)), moved: w.moved}
	for range n {
		w.writeElement(r, c)
	}
	r.end("elements")
	return c.out
}

func (w *rewriting) writeElement(r *reader, c *copying) {
	flags := r.u32()
	if flags > elementPassive|elementExplicit|elementExpressions {
		r.fail("element segment form %d is not supported: it is not of WebAssembly 2.0", flags)
	}
	c.out = appendU32(c.out, flags)
	if flags&elementPassive == 0 {
		if flags&elementExplicit != 0 {
			c.out = appendU32(c.out, r.index("table", w.tables))
		}
		c.out = w.constant(r, c)
	}
	if flags&(elementPassive|elementExplicit) != 0 {
		c.out = append(c.out, r.byte()) // element kind or reference type: the engine checks it
	}
	n := r.count("elements")
	c.out = appendU32(c.out, uint32(n))
	for range n {
		if flags&elementExpressions != 0 {
			c.out = w.constant(r, c)
		} else {
			c.out = appendU32(c.out, w.moved(r.index("function", len(w.functions))))
		}
	}
}

// checkData checks the constants of data segments, which are not changed.
func (w *rewriting) checkData() {
	w.each(sectionData, "data segments", func(r *reader) {
		flags := r.u32()
		if flags > 2 {
			r.fail("data segment form %d is not supported: it is not of WebAssembly 2.0", flags)
		}
		if flags == 2 {
			r.index("memory", w.memories)
		}
		if flags != 1 {
			w.constant(r, nil)
		}
		r.skip(r.count("bytes of data"))
	})
}

// copying takes what is read and written anew.
type copying struct {
	out   []byte
	moved func(function uint32) uint32
}

// constant reads a constant expression and checks it. With c it also copies it and returns what c has then.
func (m *module) constant(r *reader, c *copying) []byte {
	start := r.pos
	for {
		op := r.byte()
		switch op {
		case opEnd:
			if c == nil {
				return nil
			}
			c.out = append(c.out, r.data[start:r.pos]...)
			return c.out
		case opRefFunc:
			before := r.pos
			function := r.index("function", len(m.functions))
			if c != nil {
				c.out = append(c.out, r.data[start:before]...)
				c.out = appendU32(c.out, c.moved(function))
			}
			start = r.pos
		case opGlobalGet:
			r.index("global", len(m.globals))
		case opI32Const:
			r.signed(32)
		case opI64Const:
			r.signed(64)
		case opF32Const:
			r.skip(4)
		case opF64Const:
			r.skip(8)
		case opRefNull:
			r.byte()
		case opPrefixVector:
			if r.u32() != opV128Const {
				r.fail("a vector instruction other than v128.const is not a constant")
			}
			r.skip(16)
		default:
			r.pos--
			r.fail("%s is not allowed in a constant expression", opcodeName(op))
		}
	}
}
