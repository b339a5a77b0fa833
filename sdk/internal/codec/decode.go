package codec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// maxDepth is how deep a document nests at most that is not left to encoding/json.
const maxDepth = 500

// Part is a value within a document as it stands, to be decoded later or not at all.
type Part string

// UnmarshalJSON lets encoding/json decode what has Parts.
func (p *Part) UnmarshalJSON(value []byte) error {
	*p = Part(value)
	return nil
}

// Parts are the fields of an object, or what else has names, as they stand, in the order of their names.
type Parts []NamedPart

// NamedPart is a part and its name.
type NamedPart struct {
	Name string
	Part Part
}

// Get returns the part of a name, and whether there is one.
func (p Parts) Get(name string) (Part, bool) {
	i, found := slices.BinarySearchFunc(p, name, NamedPart.compare)
	if !found {
		return "", false
	}
	return p[i].Part, true
}

func (n NamedPart) compare(name string) int { return strings.Compare(n.Name, name) }

// sort puts parts in order. Of those of one name the last one counts.
func (p Parts) sort() Parts {
	for i := 1; i < len(p); i++ {
		if p[i-1].Name >= p[i].Name {
			return p.resort()
		}
	}
	return p
}

func (p Parts) resort() Parts {
	last := make(map[string]Part, len(p))
	for _, each := range p {
		last[each.Name] = each.Part
	}
	return partsOf(last)
}

func partsOf(m map[string]Part) (p Parts) {
	for _, each := range sortedMany(m) {
		p = append(p, NamedPart{each.key, each.value})
	}
	return p
}

// UnmarshalJSON lets encoding/json decode what has Parts.
func (p *Parts) UnmarshalJSON(value []byte) error {
	var parts map[string]Part
	err := json.Unmarshal(value, &parts)
	*p = partsOf(parts)
	return err
}

// Text returns a document as a Part without copying it. It must not be changed any more.
func Text(document []byte) Part {
	return Part(unsafe.String(unsafe.SliceData(document), len(document)))
}

// Decode decodes a JSON document as a T, as json.Unmarshal does into a T that is zero. The document is one that an encoder
// has written: in what T does not have, or keeps as it stands, mistakes are not looked for. The result's strings are parts of the document.
func Decode[T any](document Part) (value T, err error) {
	d := decoder{text: string(document)}
	if d.value(planOf(reflect.TypeFor[T]()), unsafe.Pointer(&value), 0) && d.next() == 0 && d.pos == len(d.text) {
		return value, nil
	}
	var again T
	err = json.Unmarshal([]byte(document), &again)
	return again, err
}

// decoder reads a document. Its functions return false if they leave it to encoding/json.
type decoder struct {
	text string
	pos  int
	// unusuals is true once there was a string that does not stand for itself, or is not ASCII.
	unusuals bool
}

// value decodes a value to an address, where its type's zero value is.
func (d *decoder) value(p *plan, to unsafe.Pointer, depth int) bool {
	c := d.next()
	if depth > maxDepth || c == 0 {
		return false
	}
	if c == 'n' && p.decode.skipsNull() {
		return d.literal("null") // and leave the zero value
	}
	switch p.decode {
	case opString:
		s, ok := d.string()
		*(*string)(to) = s
		return ok
	case opInt, opInt32, opInt64:
		return d.integer(p.decode, to)
	case opFloat64:
		n, ok := d.number()
		*(*float64)(to) = n
		return ok
	case opBool:
		*(*bool)(to) = c == 't'
		return d.bool()
	case opStruct:
		return d.structure(p, to, depth)
	case opPointer:
		pointer := reflect.New(p.elem.typ).UnsafePointer()
		*(*unsafe.Pointer)(to) = pointer
		return d.value(p.elem, pointer, depth+1)
	case opSlice:
		return d.list(p, to, depth)
	case opPart:
		raw, ok := d.raw()
		*(*string)(to) = raw
		return ok
	case opParts:
		parts, ok := d.parts()
		*(*Parts)(to) = parts
		return ok
	case opStringMap:
		m, ok := d.stringMap()
		*(*map[string]string)(to) = m
		return ok
	case opMap:
		return d.mapping(p, to, depth)
	case opAny:
		v, ok := d.any(depth)
		*(*any)(to) = v
		return ok
	case opLeave:
		return false
	default:
		return d.other(p, to)
	}
}

// skipsNull tells whether null leaves a value as it is.
func (o op) skipsNull() bool {
	switch o {
	case opMethods, opOther, opLeave, opRaw, opPart:
		return false
	default:
		return true
	}
}

// other has a type's own method or encoding/json decode a value.
func (d *decoder) other(p *plan, to unsafe.Pointer) bool {
	raw, ok := d.raw()
	if !ok {
		return false
	}
	target := reflect.NewAt(p.typ, to).Interface()
	switch p.decode {
	case opRaw:
		*target.(*json.RawMessage) = json.RawMessage(raw)
		return true
	case opMethods:
		return target.(json.Unmarshaler).UnmarshalJSON([]byte(raw)) == nil
	default:
		return json.Unmarshal([]byte(raw), target) == nil
	}
}

func (d *decoder) integer(size op, to unsafe.Pointer) bool {
	n, ok := d.whole()
	switch size {
	case opInt:
		*(*int)(to) = int(n)
		return ok && int64(int(n)) == n
	case opInt32:
		*(*int32)(to) = int32(n)
		return ok && int64(int32(n)) == n
	default:
		*(*int64)(to) = n
		return ok
	}
}

// enter moves past an opening bracket, and tells whether the closing one follows, past which it moves, too.
func (d *decoder) enter(opening, closing byte) (empty, ok bool) {
	if d.next() != opening {
		return false, false
	}
	d.pos++
	if d.next() == closing {
		d.pos++
		return true, true
	}
	return false, true
}

// more moves past a comma (more is true) or a closing bracket.
func (d *decoder) more(closing byte) (more, ok bool) {
	c := d.next()
	d.pos++
	return c == ',', c == ',' || c == closing
}

// key reads a key and the colon after it.
func (d *decoder) key() (key string, ok bool) {
	if d.next() != '"' {
		return "", false
	}
	if key, ok = d.string(); !ok || d.next() != ':' {
		return "", false
	}
	d.pos++
	return key, true
}

func (d *decoder) structure(p *plan, to unsafe.Pointer, depth int) bool {
	empty, ok := d.enter('{', '}')
	var seen uint64
	for more := !empty; ok && more; {
		var key string
		if key, ok = d.key(); !ok {
			return false
		}
		switch i := p.find(key, d.unusuals); {
		case i >= 0:
			ok = seen&(1<<i) == 0 && d.value(p.fields[i].plan, unsafe.Add(to, p.fields[i].offset), depth+1)
			seen |= 1 << i
		case i == noField:
			ok = d.skip()
		default:
			return false
		}
		if !ok {
			return false
		}
		more, ok = d.more('}')
	}
	return ok
}

// What find returns besides indexes of fields.
const (
	noField  = -1
	notPlain = -2
)

// find returns the index of the field that a key is for: the one of this name, or else one whose name differs in case. A key that
// may not be ASCII is looked at closely.
func (p *plan) find(key string, closely bool) int {
	if !closely && p.lengths&lengthOf(key) == 0 {
		return noField
	}
	for i := range p.fields {
		if p.fields[i].name == key {
			return i
		}
	}
	if closely && strings.ContainsFunc(key, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return notPlain
	}
	for i := range p.fields {
		if name := p.fields[i].name; len(name) == len(key) && strings.EqualFold(name, key) {
			return i
		}
	}
	return noField
}

// lengthOf returns a word with one bit, which tells how long a name is, or that it is very long.
func lengthOf(name string) uint64 { return 1 << min(len(name), 63) }

// slice is how a slice is represented.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

func (d *decoder) list(p *plan, to unsafe.Pointer, depth int) bool {
	empty, ok := d.enter('[', ']')
	s := (*slice)(to)
	size := p.elem.size
	if empty {
		*s = slice{data: reflect.MakeSlice(p.typ, 0, 0).UnsafePointer()}
	}
	for more := !empty; ok && more; {
		if s.len == s.cap {
			grown := reflect.MakeSlice(p.typ, s.len, max(2, 2*s.cap))
			if s.len > 0 {
				reflect.Copy(grown, p.at(to))
			}
			*s = slice{grown.UnsafePointer(), s.len, grown.Cap()}
		}
		s.len++
		if !d.value(p.elem, unsafe.Add(s.data, uintptr(s.len-1)*size), depth+1) {
			return false
		}
		more, ok = d.more(']')
	}
	return ok
}

// initialParts is how many parts there is room for at first.
const initialParts = 4

func (d *decoder) parts() (parts Parts, ok bool) {
	empty, ok := d.enter('{', '}')
	if !empty {
		parts = make(Parts, 0, initialParts)
	}
	for more := !empty; ok && more; {
		var field NamedPart
		if field.Name, ok = d.key(); !ok {
			return nil, false
		}
		d.next()
		start := d.pos
		if !d.skip() {
			return nil, false
		}
		field.Part = Part(d.text[start:d.pos])
		parts = append(parts, field)
		more, ok = d.more('}')
	}
	return parts.sort(), ok
}

// stringMap decodes a map whose values are strings.
func (d *decoder) stringMap() (m map[string]string, ok bool) {
	empty, ok := d.enter('{', '}')
	m = map[string]string{}
	for more := !empty; ok && more; {
		var key, value string
		if key, ok = d.key(); !ok {
			return nil, false
		}
		if d.next() == 'n' {
			ok = d.literal("null")
		} else {
			value, ok = d.string()
		}
		if !ok {
			return nil, false
		}
		m[key] = value
		more, ok = d.more('}')
	}
	return m, ok
}

func (d *decoder) mapping(p *plan, to unsafe.Pointer, depth int) bool {
	empty, ok := d.enter('{', '}')
	m := reflect.MakeMap(p.typ)
	for more := !empty; ok && more; {
		var key string
		if key, ok = d.key(); !ok {
			return false
		}
		value := reflect.New(p.elem.typ)
		if !d.value(p.elem, value.UnsafePointer(), depth+1) {
			return false
		}
		name := reflect.ValueOf(key)
		if name.Type() != p.typ.Key() {
			name = name.Convert(p.typ.Key())
		}
		m.SetMapIndex(name, value.Elem())
		more, ok = d.more('}')
	}
	p.at(to).Set(m)
	return ok
}

// any decodes a value of a type that nobody has said.
func (d *decoder) any(depth int) (value any, ok bool) {
	if depth > maxDepth {
		return nil, false
	}
	switch c := d.next(); c {
	case '{':
		return d.anyMap(depth)
	case '[':
		return d.anyList(depth)
	case '"':
		return d.string()
	case 't', 'f':
		return c == 't', d.bool()
	case 'n':
		return nil, d.literal("null")
	case 0:
		return nil, false
	default:
		return d.number()
	}
}

func (d *decoder) anyMap(depth int) (m map[string]any, ok bool) {
	empty, ok := d.enter('{', '}')
	m = map[string]any{}
	for more := !empty; ok && more; {
		var key string
		if key, ok = d.key(); !ok {
			return nil, false
		}
		if m[key], ok = d.any(depth + 1); !ok {
			return nil, false
		}
		more, ok = d.more('}')
	}
	return m, ok
}

func (d *decoder) anyList(depth int) (list []any, ok bool) {
	empty, ok := d.enter('[', ']')
	list = []any{}
	for more := !empty; ok && more; {
		var item any
		if item, ok = d.any(depth + 1); !ok {
			return nil, false
		}
		list = append(list, item)
		more, ok = d.more(']')
	}
	return list, ok
}
