// Package codec decodes and encodes JSON as encoding/json does, for the types that Kubernetes objects are usually written as:
// structs, maps with strings as keys, lists, pointers, strings, numbers. In a module that takes a third of the time, above all
// since it runs through a fraction of the code. What else there is in types and documents is left to encoding/json, so that
// results and errors are its own; tests hold the two against each other. What is passed over, or kept as it stands, is not looked
// into.
//
// A type is looked at once, and becomes a plan; decode.go and encode.go carry plans out, and text.go reads the parts of a document.
package codec

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// op is what is to be done with a value of a type.
type op uint8

const (
	opOther op = iota // a value is left to encoding/json
	opLeave           // and so is the whole document
	opString
	opInt
	opInt32
	opInt64
	opFloat64
	opBool
	opStruct
	opPointer
	opSlice
	opMap       // with strings as keys
	opStringMap // with strings as keys and values
	opAny       // an empty interface
	opRaw       // json.RawMessage
	opPart      // Part
	opParts     // Parts
	opMethods   // the type has methods for this
)

// plan says how values of a type are decoded and encoded.
type plan struct {
	typ            reflect.Type
	kind           reflect.Kind
	size           uintptr
	decode, encode op
	elem           *plan   // what a pointer, list or map holds
	fields         []field // of a struct
	lengths        uint64  // of the fields' names, see lengthOf
}

// field is a field of a struct, or of one that is embedded in it.
type field struct {
	name   string
	quoted string // with a comma before it, quotes and a colon
	offset uintptr
	plan   *plan
	// omitEmpty and omitZero are the options of the field's tag.
	omitEmpty, omitZero bool
}

// maxFields is how many fields a struct has at most that is not left to encoding/json: those that were seen are bits of a word.
const maxFields = 64

// plans are those that were made, by the address of their type. A map is never changed once it is here.
var (
	plans  atomic.Pointer[map[uintptr]*plan]
	making sync.Mutex
)

func planOf(t reflect.Type) *plan {
	id := addressOf(t)
	if known := plans.Load(); known != nil {
		if p := (*known)[id]; p != nil {
			return p
		}
	}
	return makePlan(t)
}

// addressOf returns the address of a type, which is the pointer in the interface.
func addressOf(t reflect.Type) uintptr { return uintptr((*eface)(unsafe.Pointer(&t)).data) }

func makePlan(t reflect.Type) *plan {
	making.Lock()
	defer making.Unlock()
	all := maker{}
	if known := plans.Load(); known != nil {
		maps.Copy(all, *known)
	}
	p := all.plan(t)
	known := map[uintptr]*plan(all)
	plans.Store(&known)
	return p
}

// maker makes plans. Types may lead back to themselves.
type maker map[uintptr]*plan

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	zeroer          = reflect.TypeFor[interface{ IsZero() bool }]()
	rawMessage      = reflect.TypeFor[json.RawMessage]()
	number          = reflect.TypeFor[json.Number]()
	part            = reflect.TypeFor[Part]()
	parts           = reflect.TypeFor[Parts]()
)

func (m maker) plan(t reflect.Type) *plan {
	id := addressOf(t)
	if p := m[id]; p != nil {
		return p
	}
	p := &plan{typ: t, kind: t.Kind(), size: t.Size()}
	m[id] = p
	usual := m.usual(t, p)
	p.decode, p.encode = usual, usual
	switch pointer := reflect.PointerTo(t); {
	case t == rawMessage:
		p.decode, p.encode = opRaw, opMethods
	case t == part:
		p.decode, p.encode = opPart, opLeave
	case t == parts:
		p.decode, p.encode = opParts, opLeave
	case t.Kind() == reflect.Pointer && t.Name() != "": // which has no methods, and neither has what it points to
		p.decode, p.encode = opLeave, opLeave
	case t.Kind() == reflect.Pointer: // encoding/json asks what it points to
		if t.Implements(marshaler) || t.Implements(textMarshaler) {
			p.encode = opLeave
			if t.Elem().Implements(marshaler) && t.Elem().Kind() != reflect.Pointer {
				p.encode = opPointer
			}
		}
	default:
		p.useMethods(t, pointer)
	}
	return p
}

// useMethods has a type's own methods used where it has any. encoding/json takes the address of no value whose type has no name.
func (p *plan) useMethods(t, pointer reflect.Type) {
	decodes, reads := pointer.Implements(unmarshaler), pointer.Implements(textUnmarshaler)
	switch {
	case (decodes || reads) && t.Name() == "":
		p.decode = opLeave
	case decodes:
		p.decode = opMethods
	case reads:
		p.decode = opOther
	}
	switch {
	case t.Implements(marshaler) && t.Kind() != reflect.Interface:
		p.encode = opMethods
	case pointer.Implements(marshaler) || pointer.Implements(textMarshaler) || t.Implements(marshaler) || t.Implements(textMarshaler):
		p.encode = opLeave
	}
}

// usual returns what is to be done with a type that has no methods for it.
func (m maker) usual(t reflect.Type, p *plan) op {
	switch t.Kind() {
	case reflect.String:
		if t != number {
			return opString
		}
	case reflect.Int:
		return opInt
	case reflect.Int32:
		return opInt32
	case reflect.Int64:
		return opInt64
	case reflect.Float64:
		return opFloat64
	case reflect.Bool:
		return opBool
	case reflect.Struct:
		if m.structure(t, p, 0) && len(p.fields) <= maxFields {
			return opStruct
		}
	case reflect.Pointer:
		p.elem = m.plan(t.Elem())
		return opPointer
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // those are written in base64
			p.elem = m.plan(t.Elem())
			return opSlice
		}
	case reflect.Map:
		return m.mapping(t, p)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return opAny
		}
	default:
	}
	return opOther
}

func (m maker) mapping(t reflect.Type, p *plan) op {
	key := t.Key()
	if key.Kind() != reflect.String || key.Implements(textMarshaler) || reflect.PointerTo(key).Implements(textUnmarshaler) {
		return opOther
	}
	p.elem = m.plan(t.Elem())
	if p.elem.decode == opString && p.elem.encode == opString {
		return opStringMap
	}
	return opMap
}

// structure adds the fields of a struct that is at an offset. It returns false for one that is to be left to encoding/json.
func (m maker) structure(t reflect.Type, p *plan, offset uintptr) bool {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			if f.Type.Kind() != reflect.Struct || !m.structure(f.Type, p, offset+f.Offset) {
				return false
			}
			continue
		}
		added := field{name: name, offset: offset + f.Offset}
		if name == "" {
			added.name = f.Name
		}
		if !f.IsExported() || !plainName(added.name) || p.named(added.name) || !added.take(options, f.Type) {
			return false
		}
		added.quoted = `,"` + added.name + `":`
		added.plan = m.plan(f.Type)
		p.fields = append(p.fields, added)
		p.lengths |= lengthOf(added.name)
	}
	return true
}

// take takes the options of a tag. It returns false for one that is to be left to encoding/json.
func (f *field) take(options string, t reflect.Type) bool {
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
			if t.Implements(zeroer) || reflect.PointerTo(t).Implements(zeroer) || t.Kind() == reflect.Interface && t.NumMethod() > 0 {
				return false
			}
		case "string":
			return false
		}
	}
	return true
}

// plainName tells whether a name is one that encoding/json takes from a tag, and is written and compared without further ado.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= 0x7f || c == '"' || c == '\\' || c < ' ' || c == '<' || c == '>' || c == '&' || c == '\'' || c == '`' || c == ',' {
			return false
		}
	}
	return name != ""
}

func (p *plan) named(name string) bool {
	for i := range p.fields {
		if p.fields[i].name == name {
			return true
		}
	}
	return false
}

// at returns the value at an address.
func (p *plan) at(address unsafe.Pointer) reflect.Value { return reflect.NewAt(p.typ, address).Elem() }
