package apiserver

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestGoType passes random objects of each built-in kind through its Go type, and compares.
func TestGoType(t *testing.T) {
	kinds, err := builtinKinds()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		t.Run(k.Kind+"."+k.Group, func(t *testing.T) {
			typed, err := builtinScheme().New(k.GroupVersionKind)
			if err != nil {
				t.Fatal(err)
			}
			goes, known := typesWriter{rand.New(rand.NewPCG(1, 2)), 0}, 0
			const objects = 400
			for i := range objects {
				goes.mistakes = i % 3
				in := goes.write(reflect.TypeOf(typed).Elem(), 0).(map[string]any)
				before := runtime.DeepCopyJSON(in)
				out, ok := goTypeOf(reflect.TypeOf(typed).Elem()).convert(in)
				if diff := cmp.Diff(before, in); diff != "" {
					t.Fatalf("what goes in is changed: -before +after:\n%s", diff)
				}
				if !ok {
					continue
				}
				known++
				through := reflect.New(reflect.TypeOf(typed).Elem()).Interface()
				if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(in, through, true); err != nil {
					t.Fatalf("%v: %v", in, err)
				}
				want, err := runtime.DefaultUnstructuredConverter.ToUnstructured(through)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(any(want), out); diff != "" {
					t.Fatalf("%v: -want +got:\n%s", in, diff)
				}
				if shares(reflect.ValueOf(in), containers(reflect.ValueOf(out), map[uintptr]bool{})) {
					t.Fatalf("%v: what comes out shares something with what goes in", in)
				}
			}
			if known < objects/8 {
				t.Errorf("only %d of %d objects were known", known, objects)
			}
		})
	}
}

// typesWriter writes random values of Go types.
type typesWriter struct {
	*rand.Rand
	// mistakes is how many of a hundred values are not what the type has.
	mistakes int
}

func (w typesWriter) write(t reflect.Type, depth int) any {
	if depth > 0 && w.IntN(100) < w.mistakes {
		return w.oneOf(nil, "", "text", int64(0), int64(1)<<40, 0.5, true, map[string]any{}, []any{}, []any(nil), map[string]any(nil), map[string]any{"a": nil})
	}
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		return w.oneOf("1", "1000m", "1024Mi", "0.5", "0", "1e3", "1Gi")
	case reflect.TypeFor[intstr.IntOrString]():
		return w.oneOf("25%", "", int64(0), int64(80))
	case reflect.TypeFor[metav1.Time]():
		return w.oneOf("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+01:00", "0001-01-01T00:00:00Z")
	case reflect.TypeFor[[]byte]():
		return w.oneOf("", "YQ==", "YWI=", "YWJj", "YW Jj", "YR==")
	}
	return w.writeKind(t, depth)
}

func (w typesWriter) writeKind(t reflect.Type, depth int) any {
	switch t.Kind() {
	case reflect.String:
		return w.oneOf("", "a", "b<c>")
	case reflect.Bool:
		return w.IntN(2) == 0
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return w.oneOf(int64(0), int64(1), int64(8080))
	case reflect.Pointer:
		return w.write(t.Elem(), depth)
	case reflect.Slice:
		list := make([]any, w.IntN(3))
		for i := range list {
			list[i] = w.write(t.Elem(), depth+1)
		}
		return list
	case reflect.Map:
		values := map[string]any{}
		for range w.IntN(3) {
			values[string(rune('a'+w.IntN(3)))] = w.write(t.Elem(), depth+1)
		}
		return values
	case reflect.Struct:
		return w.writeStruct(t, depth)
	default:
		return w.oneOf(0.5, int64(1), "x")
	}
}

func (w typesWriter) writeStruct(t reflect.Type, depth int) map[string]any {
	values := map[string]any{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" && field.Anonymous:
			maps.Copy(values, w.writeStruct(field.Type, depth))
		case name != "" && name != "-" && field.IsExported() && w.IntN(2+depth) < 2 && (!hasOwnCodec(field.Type) || w.IntN(4) == 0):
			values[name] = w.write(field.Type, depth+1)
		}
	}
	if w.IntN(1000) < w.mistakes {
		values["unknown"] = "x"
	}
	return values
}

func (w typesWriter) oneOf(values ...any) any { return values[w.IntN(len(values))] }

// containers collects the maps and lists of a value that can be changed.
func containers(v reflect.Value, found map[uintptr]bool) map[uintptr]bool {
	switch v.Kind() {
	case reflect.Interface:
		containers(v.Elem(), found)
	case reflect.Map:
		found[v.Pointer()] = true
		for _, key := range v.MapKeys() {
			containers(v.MapIndex(key), found)
		}
	case reflect.Slice:
		if v.Cap() > 0 {
			found[v.Pointer()] = true
		}
		for i := range v.Len() {
			containers(v.Index(i), found)
		}
	default:
	}
	return found
}

func shares(v reflect.Value, found map[uintptr]bool) bool {
	for each := range containers(v, map[uintptr]bool{}) {
		if found[each] && each != 0 {
			return true
		}
	}
	return false
}
