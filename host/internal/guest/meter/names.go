package meter

// The subsections of the name section that name functions, or things within functions.
const (
	namesFunctions = 1
	namesLocals    = 2
	namesLabels    = 3
)

// appendNames appends the name section with the new indices of functions. A malformed one is left out: names decide
// nothing.
func (w *rewriting) appendNames(dst []byte) (out []byte) {
	if w.names == nil {
		return dst
	}
	defer func() {
		if fault := recover(); fault != nil {
			if _, ok := fault.(*FormatError); !ok {
				panic(fault)
			}
			out = dst
		}
	}()
	section := appendName(nil, "name")
	for !w.names.done() {
		id := w.names.byte()
		content := w.names.sub(w.names.count("bytes of names"))
		section = appendSection(section, id, w.movedNames(id, content))
	}
	return appendSection(dst, sectionCustom, section)
}

func (w *rewriting) movedNames(id byte, r *reader) []byte {
	switch id {
	case namesFunctions:
		return w.movedMap(r, func(r *reader) { r.name() })
	case namesLocals, namesLabels:
		return w.movedMap(r, func(r *reader) {
			for range r.count("names") {
				r.u32()
				r.name()
			}
		})
	default:
		return r.data
	}
}

// movedMap moves the keys of a map from functions to something that skip reads over.
func (w *rewriting) movedMap(r *reader, skip func(r *reader)) []byte {
	n := r.count("names")
	out := appendU32(make([]byte, 0, len(r.data)+n), uint32(n))
	for range n {
		out = appendU32(out, w.moved(r.u32()))
		start := r.pos
		skip(r)
		out = append(out, r.data[start:r.pos]...)
	}
	return out
}
