package codec

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Append appends a value's JSON, as an encoder of encoding/json writes it that does not escape what HTML would need to be.
func Append(to []byte, value any) ([]byte, error) {
	e := encoder{text: to}
	if e.any(value, 0) {
		return e.text, nil
	}
	encoded, err := encode(value)
	return append(to, encoded...), err
}

// Marshal returns a value's JSON as json.Marshal does, which escapes what HTML would need to be.
func Marshal(value any) ([]byte, error) {
	e := encoder{text: make([]byte, 0, initialSize)}
	if !e.any(value, 0) {
		return json.Marshal(value)
	}
	if !slices.ContainsFunc(e.text, escapedInHTML) {
		return e.text, nil
	}
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, e.text)
	return escaped.Bytes(), nil
}

// initialSize is how much room there is at first for what is encoded, in bytes.
const initialSize = 256

// escapedInHTML tells whether a byte is, or may begin, a character that json.Marshal escapes: U+2028 and U+2029 begin with E2.
func escapedInHTML(c byte) bool { return c == '<' || c == '>' || c == '&' || c == 0xe2 }

// encode has encoding/json encode a value.
func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}

// encoder writes a document. Its functions return false if they leave it to encoding/json.
type encoder struct{ text []byte }

func (e *encoder) write(text string) bool {
	e.text = append(e.text, text...)
	return true
}

func (e *encoder) byte(c byte) bool {
	e.text = append(e.text, c)
	return true
}

// value encodes the value at an address.
func (e *encoder) value(p *plan, at unsafe.Pointer, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch p.encode {
	case opString:
		return e.string(*(*string)(at))
	case opInt:
		return e.whole(int64(*(*int)(at)))
	case opInt32:
		return e.whole(int64(*(*int32)(at)))
	case opInt64:
		return e.whole(*(*int64)(at))
	case opFloat64:
		return e.float(*(*float64)(at))
	case opBool:
		return e.bool(*(*bool)(at))
	case opStruct:
		return e.structure(p, at, depth)
	case opPointer:
		pointer := *(*unsafe.Pointer)(at)
		if pointer == nil {
			return e.write("null")
		}
		return e.value(p.elem, pointer, depth+1)
	case opSlice:
		return e.list(p, (*slice)(at), depth)
	case opStringMap:
		return e.stringMap(*(*map[string]string)(at))
	case opMap:
		return e.mapping(p, at, depth)
	case opAny:
		return e.any(*(*any)(at), depth+1)
	case opMethods:
		encoded, err := encode(p.at(at).Interface())
		e.text = append(e.text, encoded...)
		return err == nil
	default:
		return false
	}
}

func (e *encoder) whole(n int64) bool {
	e.text = strconv.AppendInt(e.text, n, 10)
	return true
}

// float writes a number as encoding/json does, unless it is one that has an exponent there.
func (e *encoder) float(n float64) bool {
	if n != 0 && !(1e-6 <= math.Abs(n) && math.Abs(n) < 1e21) {
		return false
	}
	e.text = strconv.AppendFloat(e.text, n, 'f', -1, 64)
	return true
}

func (e *encoder) bool(b bool) bool {
	e.text = strconv.AppendBool(e.text, b)
	return true
}

func (e *encoder) structure(p *plan, at unsafe.Pointer, depth int) bool {
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		address := unsafe.Add(at, f.offset)
		if f.omitEmpty && f.plan.empty(address) || f.omitZero && f.plan.zero(address) {
			continue
		}
		e.text = append(e.text, f.quoted...)
		if first {
			e.text[len(e.text)-len(f.quoted)] = '{' // where the comma is
			first = false
		}
		if !e.value(f.plan, address, depth+1) {
			return false
		}
	}
	if first {
		return e.write("{}")
	}
	return e.byte('}')
}

// empty tells whether a field has the value that omitempty leaves out.
func (p *plan) empty(at unsafe.Pointer) bool {
	switch p.kind {
	case reflect.String:
		return *(*string)(at) == ""
	case reflect.Bool:
		return !*(*bool)(at)
	case reflect.Pointer:
		return *(*unsafe.Pointer)(at) == nil
	case reflect.Slice:
		return (*slice)(at).len == 0
	case reflect.Map:
		return len(*(*map[string]string)(at)) == 0 // the length is where it is in any map
	case reflect.Array:
		return p.at(at).Len() == 0
	case reflect.Int32:
		return *(*int32)(at) == 0
	case reflect.Int64:
		return *(*int64)(at) == 0
	case reflect.Interface, reflect.Float32, reflect.Float64, reflect.Int, reflect.Int8, reflect.Int16,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return p.at(at).IsZero()
	default:
		return false
	}
}

// zero tells whether a field has the value that omitzero leaves out.
func (p *plan) zero(at unsafe.Pointer) bool {
	switch p.kind {
	case reflect.String, reflect.Bool, reflect.Pointer, reflect.Int32, reflect.Int64:
		return p.empty(at)
	case reflect.Slice, reflect.Map:
		return *(*unsafe.Pointer)(at) == nil
	default:
		return p.at(at).IsZero()
	}
}

func (e *encoder) list(p *plan, s *slice, depth int) bool {
	if s.data == nil {
		return e.write("null")
	}
	e.byte('[')
	for i := range s.len {
		if i > 0 {
			e.byte(',')
		}
		if !e.value(p.elem, unsafe.Add(s.data, uintptr(i)*p.elem.size), depth+1) {
			return false
		}
	}
	return e.byte(']')
}

// begin writes what stands before the i-th value of a map.
func (e *encoder) begin(i int, key string) {
	if i > 0 {
		e.byte(',')
	}
	e.string(key)
	e.byte(':')
}

func (e *encoder) stringMap(m map[string]string) bool {
	if m == nil {
		return e.write("null")
	}
	e.byte('{')
	var room [fewEntries]entry[string]
	for i, member := range sorted(m, room[:0]) {
		e.begin(i, member.key)
		e.string(member.value)
	}
	return e.byte('}')
}

func (e *encoder) anyMap(m map[string]any, depth int) bool {
	if m == nil {
		return e.write("null")
	}
	e.byte('{')
	var room [fewEntries]entry[any]
	for i, member := range sorted(m, room[:0]) {
		e.begin(i, member.key)
		if !e.any(member.value, depth+1) {
			return false
		}
	}
	return e.byte('}')
}

func (e *encoder) anyList(list []any, depth int) bool {
	if list == nil {
		return e.write("null")
	}
	e.byte('[')
	for i, item := range list {
		if i > 0 {
			e.byte(',')
		}
		if !e.any(item, depth+1) {
			return false
		}
	}
	return e.byte(']')
}

// entry is a key of a map and what it stands for.
type entry[V any] struct {
	key   string
	value V
}

// fewEntries is how many entries there is room for without allocating.
const fewEntries = 8

// sorted returns a map's entries in the order of their keys, in room if there is enough.
func sorted[V any](m map[string]V, room []entry[V]) []entry[V] {
	if len(m) > cap(room) {
		return sortedMany(m)
	}
	for key, value := range m {
		room = append(room, entry[V]{key, value})
		for i := len(room) - 1; i > 0 && room[i].key < room[i-1].key; i-- {
			room[i], room[i-1] = room[i-1], room[i]
		}
	}
	return room
}

func sortedMany[V any](m map[string]V) []entry[V] {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	entries := make([]entry[V], len(keys))
	for i, key := range keys {
		entries[i] = entry[V]{key, m[key]}
	}
	return entries
}

func (e *encoder) mapping(p *plan, at unsafe.Pointer, depth int) bool {
	m := p.at(at)
	if m.IsNil() {
		return e.write("null")
	}
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	value := reflect.New(p.elem.typ)
	e.byte('{')
	for i, key := range keys {
		e.begin(i, key.String())
		value.Elem().Set(m.MapIndex(key))
		if !e.value(p.elem, value.UnsafePointer(), depth+1) {
			return false
		}
	}
	return e.byte('}')
}

func (e *encoder) any(value any, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v := value.(type) {
	case nil:
		return e.write("null")
	case string:
		return e.string(v)
	case bool:
		return e.bool(v)
	case int:
		return e.whole(int64(v))
	case int64:
		return e.whole(v)
	case float64:
		return e.float(v)
	case map[string]any:
		return e.anyMap(v, depth)
	case []any:
		return e.anyList(v, depth)
	default:
		return e.other(value, depth)
	}
}

// other encodes a value of a type that has a plan.
func (e *encoder) other(value any, depth int) bool {
	p := planOf(reflect.TypeOf(value))
	held := *(*eface)(unsafe.Pointer(&value))
	switch {
	case p.kind == reflect.Pointer || p.kind == reflect.Map:
		pointer := held.data
		return e.value(p, unsafe.Pointer(&pointer), depth)
	case p.size > unsafe.Sizeof(held.data):
		return e.value(p, held.data, depth)
	}
	copied := reflect.New(p.typ) // it may itself be where the address would be
	copied.Elem().Set(reflect.ValueOf(value))
	return e.value(p, copied.UnsafePointer(), depth)
}

// eface is how an empty interface is represented: data is a pointer or map that is in it, or where what else is in it is.
type eface struct{ typ, data unsafe.Pointer }

// string writes a string.
func (e *encoder) string(s string) bool {
	plain := PlainEnd(s, 0)
	if plain < len(s) {
		return e.unusual(s, plain)
	}
	before := len(e.text)
	e.text = slices.Grow(e.text, len(s)+2)[:before+len(s)+2]
	e.text[before] = '"'
	copy(e.text[before+1:], s)
	e.text[len(e.text)-1] = '"'
	return true
}

// unusual writes a string that stands for itself until an index.
func (e *encoder) unusual(s string, plain int) bool {
	e.byte('"')
	start := 0
	for i := plain; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
			e.text = append(e.text, s[start:i]...)
			e.rune(r)
			i += size
		} else {
			e.text = append(e.text, s[start:i]...)
			e.escape(c)
			i++
		}
		start = i
	}
	e.write(s[start:])
	return e.byte('"')
}

// escape writes an ASCII character that cannot stand in a string.
func (e *encoder) escape(c byte) {
	if plain := strings.IndexByte("\"\\\b\f\n\r\t", c); plain >= 0 {
		e.text = append(e.text, '\\', `"\bfnrt`[plain])
		return
	}
	e.rune(rune(c))
}

// rune writes a rune as its number.
func (e *encoder) rune(r rune) {
	const digits = "0123456789abcdef"
	e.text = append(e.text, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
