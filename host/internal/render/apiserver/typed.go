package apiserver

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// goType is what becomes of a value that passes through a Go type, as far as that can be said without making the Go value: it takes a
// third of the time. It may always say that it does not know, and then runtime.DefaultUnstructuredConverter has the word.
type goType struct {
	typ      reflect.Type
	complete sync.Once
	// known is convert, once the type was looked at.
	known func(in any) (out any, ok bool)
	// empty says whether omitempty leaves out a value that came out. nil: it leaves out none.
	empty func(out any) bool
}

// goField is a field of a struct.
type goField struct {
	*goType
	omitEmpty bool
}

// goStruct is a struct, with the fields of those that are inlined.
type goStruct struct {
	fields map[string]goField
	// zero is what comes out of an empty struct.
	zero map[string]any
}

// goTypes are the types by their Go type.
var goTypes sync.Map

// goTypeOf returns a Go type. It is looked at when a value is converted: types may refer to themselves, and most are never used.
func goTypeOf(t reflect.Type) *goType {
	known, there := goTypes.Load(t)
	if !there {
		known, _ = goTypes.LoadOrStore(t, &goType{typ: t})
	}
	return known.(*goType)
}

// convert returns what comes out, and false if it does not know. It shares nothing with what goes in that can be changed.
func (g *goType) convert(in any) (out any, ok bool) {
	g.complete.Do(g.look)
	return g.known(in)
}

func (g *goType) look() {
	g.known = unknown
	switch t := g.typ; {
	case t == reflect.TypeFor[resource.Quantity]():
		g.known = convertQuantity
	case t == reflect.TypeFor[intstr.IntOrString]():
		g.known = convertIntOrString
	case t == reflect.TypeFor[metav1.Time]():
		g.known = convertTime
	case hasOwnCodec(t):
		// Only its methods know.
	case t == reflect.TypeFor[[]byte]():
		g.known, g.empty = convertBytes, isZero[string]
	default:
		g.lookAtKind(t)
	}
}

func (g *goType) lookAtKind(t reflect.Type) {
	switch t.Kind() {
	case reflect.String:
		g.known, g.empty = convertAs[string], isZero[string]
	case reflect.Bool:
		g.known, g.empty = convertAs[bool], isZero[bool]
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		g.known, g.empty = convertInt(t), isZero[int64]
	case reflect.Pointer:
		g.known = goTypeOf(t.Elem()).convert
	case reflect.Slice:
		g.known, g.empty = convertSlice(goTypeOf(t.Elem())), func(out any) bool { return len(out.([]any)) == 0 }
	case reflect.Map:
		if t.Key().Kind() == reflect.String && !hasOwnCodec(t.Key()) {
			g.known, g.empty = convertMap(goTypeOf(t.Elem())), func(out any) bool { return len(out.(map[string]any)) == 0 }
		}
	case reflect.Struct:
		if made := makeGoStruct(t); made != nil {
			g.known = made.convert
		}
	default: // floating point numbers and interfaces are rare
	}
}

// hasOwnCodec says whether a type decides itself how it is written.
func hasOwnCodec(t reflect.Type) bool {
	for _, codec := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[value.UnstructuredConverter](),
	} {
		if t.Implements(codec) || reflect.PointerTo(t).Implements(codec) {
			return true
		}
	}
	return false
}

func unknown(any) (any, bool) { return nil, false }

func isZero[T comparable](out any) bool {
	var zero T
	return out == any(zero)
}

func convertAs[T any](in any) (any, bool) {
	_, ok := in.(T)
	return in, ok
}

func convertInt(t reflect.Type) func(any) (any, bool) {
	return func(in any) (any, bool) {
		number, ok := in.(int64)
		return in, ok && !reflect.Zero(t).OverflowInt(number)
	}
}

func convertSlice(element *goType) func(any) (any, bool) {
	return func(in any) (any, bool) {
		items, ok := in.([]any)
		if !ok || items == nil {
			return nil, false
		}
		out := make([]any, len(items))
		for i, item := range items {
			if out[i], ok = element.convert(item); !ok {
				return nil, false
			}
		}
		return out, true
	}
}

func convertMap(element *goType) func(any) (any, bool) {
	return func(in any) (any, bool) {
		values, ok := in.(map[string]any)
		if !ok || values == nil {
			return nil, false
		}
		out := make(map[string]any, len(values))
		for key, each := range values {
			if out[key], ok = element.convert(each); !ok {
				return nil, false
			}
		}
		return out, true
	}
}

// convertBytes takes what is base64 as encoding/json writes it.
func convertBytes(in any) (any, bool) {
	text, ok := in.(string)
	if !ok {
		return nil, false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	return in, err == nil && base64.StdEncoding.EncodedLen(len(decoded)) == len(text)
}

func convertQuantity(in any) (any, bool) {
	text, ok := in.(string)
	if !ok {
		return nil, false
	}
	quantity, err := resource.ParseQuantity(text)
	return quantity.String(), err == nil
}

func convertIntOrString(in any) (any, bool) {
	if _, is := in.(string); is {
		return in, true
	}
	number, ok := in.(int64)
	return in, ok && int64(int32(number)) == number
}

// convertTime takes what is as the API server writes it.
func convertTime(in any) (any, bool) {
	text, ok := in.(string)
	if !ok {
		return nil, false
	}
	at, err := time.Parse(time.RFC3339, text)
	return in, err == nil && !at.IsZero() && at.UTC().Format(time.RFC3339) == text
}

// makeGoStruct returns nil if it does not know what comes out of the type.
func makeGoStruct(t reflect.Type) *goStruct {
	zero, err := runtime.DefaultUnstructuredConverter.ToUnstructured(reflect.New(t).Interface())
	made := &goStruct{fields: map[string]goField{}, zero: zero}
	if err != nil || !made.add(t) {
		return nil
	}
	return made
}

// add adds the fields of a struct. It returns false if two have the same name.
func (g *goStruct) add(t reflect.Type) bool {
	for field := range t.Fields() {
		tag := strings.Split(field.Tag.Get("json"), ",")
		name, options := tag[0], tag[1:]
		switch _, twice := g.fields[name]; {
		case name == "-":
			continue
		case name == "" && field.Anonymous && field.Type.Kind() == reflect.Struct && !hasOwnCodec(field.Type):
			if !g.add(field.Type) {
				return false
			}
			continue
		case name == "" || twice:
			return false
		}
		made := goTypeOf(field.Type)
		if slices.Contains(options, "omitzero") && field.Type != reflect.TypeFor[metav1.Time]() { // whose zero is not known
			made = &goType{typ: reflect.TypeFor[any]()}
		}
		g.fields[name] = goField{made, slices.Contains(options, "omitempty")}
	}
	return true
}

func (g *goStruct) convert(in any) (any, bool) {
	values, ok := in.(map[string]any)
	if !ok || values == nil {
		return nil, false
	}
	out := make(map[string]any, len(values)+len(g.zero))
	for name, each := range values {
		field, known := g.fields[name]
		if !known {
			return nil, false
		}
		if each == nil { // null stands for nothing
			continue
		}
		converted, ok := field.convert(each)
		if !ok {
			return nil, false
		}
		if field.omitEmpty && field.empty != nil && field.empty(converted) {
			continue
		}
		out[name] = converted
	}
	for name, zero := range g.zero {
		if values[name] == nil {
			out[name] = runtime.DeepCopyJSONValue(zero)
		}
	}
	return out, true
}
