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
	before := byte('{')
	for i := range p.fields {
		f := &p.fields[i]
		address := unsafe.Add(at, f.offset)
		if f.omitEmpty && f.plan.empty(address) || f.omitZero && f.plan.at(address).IsZero() {
			continue
		}
		e.text = append(append(e.text, before), f.quoted...)
		if !e.value(f.plan, address, depth+1) {
			return false
		}
		before = ','
	}
	if before == '{' {
		return e.write("{}")
	}
	return e.write("}")
}

// empty tells whether a field has the value that omitempty leaves out.
func (p *plan) empty(at unsafe.Pointer) bool {
	switch p.typ.Kind() {
	case reflect.String:
		return *(*string)(at) == ""
	case reflect.Bool:
		return !*(*bool)(at)
	case reflect.Pointer:
		return *(*unsafe.Pointer)(at) == nil
	case reflect.Slice:
		return (*slice)(at).len == 0
	case reflect.Map, reflect.Array:
		return p.at(at).Len() == 0
	case reflect.Interface, reflect.Float32, reflect.Float64, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return p.at(at).IsZero()
	default:
		return false
	}
}

func (e *encoder) list(p *plan, s *slice, depth int) bool {
	if s.data == nil {
		return e.write("null")
	}
	e.write("[")
	size := p.elem.typ.Size()
	for i := range s.len {
		if i > 0 {
			e.write(",")
		}
		if !e.value(p.elem, unsafe.Add(s.data, uintptr(i)*size), depth+1) {
			return false
		}
	}
	return e.write("]")
}

// begin writes what stands before the i-th value of a map.
func (e *encoder) begin(i int, key string) {
	if i > 0 {
		e.write(",")
	}
	e.string(key)
	e.write(":")
}

func (e *encoder) stringMap(m map[string]string) bool {
	if m == nil {
		return e.write("null")
	}
	e.write("{")
	for i, key := range sortedKeys(m) {
		e.begin(i, key)
		e.string(m[key])
	}
	return e.write("}")
}

func (e *encoder) anyMap(m map[string]any, depth int) bool {
	if m == nil {
		return e.write("null")
	}
	e.write("{")
	for i, key := range sortedKeys(m) {
		e.begin(i, key)
		if !e.any(m[key], depth+1) {
			return false
		}
	}
	return e.write("}")
}

func (e *encoder) anyList(list []any, depth int) bool {
	if list == nil {
		return e.write("null")
	}
	e.write("[")
	for i, item := range list {
		if i > 0 {
			e.write(",")
		}
		if !e.any(item, depth+1) {
			return false
		}
	}
	return e.write("]")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (e *encoder) mapping(p *plan, at unsafe.Pointer, depth int) bool {
	m := p.at(at)
	if m.IsNil() {
		return e.write("null")
	}
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	value := reflect.New(p.elem.typ)
	e.write("{")
	for i, key := range keys {
		e.begin(i, key.String())
		value.Elem().Set(m.MapIndex(key))
		if !e.value(p.elem, value.UnsafePointer(), depth+1) {
			return false
		}
	}
	return e.write("}")
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
	held := (*eface)(unsafe.Pointer(&value))
	switch kind := p.typ.Kind(); {
	case kind == reflect.Pointer || kind == reflect.Map:
		return e.value(p, unsafe.Pointer(&held.data), depth)
	case p.typ.Size() > unsafe.Sizeof(held.data):
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
	e.text = append(e.text, '"')
	start := 0
	for i := plainEnd(s, 0); i < len(s); {
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
	e.text = append(e.text, s[start:]...)
	e.text = append(e.text, '"')
	return true
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
