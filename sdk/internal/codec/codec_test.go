package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// The types below have each sort of field that is decoded and encoded here, and each that is left to encoding/json.

type inner struct {
	A string `json:"a"`
	B *int32 `json:"b,omitempty"`
}

type embedded struct {
	Kind   string            `json:"kind"`
	Labels map[string]string `json:"labels,omitempty"`
}

type word string

type words map[word]word

type everything struct {
	embedded
	Untagged   string
	Named      string             `json:"name,omitempty"`
	Left       string             `json:"-"`
	Dash       string             `json:"-,"` //nolint:staticcheck // it is meant
	Int        int                `json:"int"`
	Int32      int32              `json:"int32,omitempty"`
	Int64      int64              `json:"int64,omitzero"`
	Bool       bool               `json:"bool,omitempty"`
	Word       word               `json:"word,omitempty"`
	Inner      inner              `json:"inner,omitzero"`
	Pointer    *inner             `json:"pointer,omitempty"`
	List       []inner            `json:"list,omitempty"`
	Strings    []string           `json:"strings,omitzero"`
	Lists      [][]int            `json:"lists,omitempty"`
	Pointers   []*inner           `json:"pointers,omitempty"`
	Map        map[string]inner   `json:"map,omitempty"`
	Maps       map[string]*string `json:"maps,omitempty"`
	Words      words              `json:"words,omitempty"`
	Any        any                `json:"any,omitempty"`
	Anything   map[string]any     `json:"anything,omitzero"`
	Items      []any              `json:"items,omitempty"`
	Raw        json.RawMessage    `json:"raw,omitempty"`
	Time       time.Time          `json:"time,omitempty"` //nolint:modernize // it is meant
	Deleted    *time.Time         `json:"deleted,omitempty"`
	Recursive  *everything        `json:"recursive,omitempty"`
	Float      float64            `json:"float,omitempty"`
	Uint       uint16             `json:"uint,omitempty"`
	Bytes      []byte             `json:"bytes,omitempty"`
	Array      [2]int             `json:"array,omitempty"`
	ByNumber   map[int]string     `json:"byNumber,omitempty"`
	unexported string             //nolint:unused // it is to be passed over
}

// plainOnly has nothing that is left to encoding/json.
type plainOnly struct {
	Metadata embedded       `json:"metadata"`
	Spec     inner          `json:"spec"`
	List     []inner        `json:"list"`
	Status   map[string]any `json:"status"`
	Count    int64          `json:"count,omitempty"`
}

type promoted struct { // its embedded fields are promoted in ways that only encoding/json knows
	inner
	*embedded
	A int `json:"a"`
}

type asString struct {
	Number int `json:"number,string"`
}

type ownMethods struct{ Text string }

func (o ownMethods) MarshalJSON() ([]byte, error) { return json.Marshal("<" + o.Text + ">") }

func (o *ownMethods) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &o.Text) }

type pointerMethods struct{ Text string }

func (p *pointerMethods) MarshalJSON() ([]byte, error) { return json.Marshal("&" + p.Text) }

type nilMethods struct{}

func (*nilMethods) MarshalJSON() ([]byte, error) { return []byte(`"nil"`), nil }

type textMethods struct{ text string }

func (t textMethods) MarshalText() ([]byte, error) { return []byte("text:" + t.text), nil }

func (t *textMethods) UnmarshalText(text []byte) error {
	t.text = strings.TrimPrefix(string(text), "text:")
	return nil
}

type methods struct {
	Own      ownMethods                `json:"own"`
	OwnPtr   *ownMethods               `json:"ownPtr,omitempty"`
	Owns     map[string]ownMethods     `json:"owns,omitempty"`
	Text     textMethods               `json:"text"`
	TextPtr  *textMethods              `json:"textPtr,omitempty"`
	ByText   map[textMethods]string    `json:"byText,omitempty"`
	Pointers map[string]pointerMethods `json:"pointers,omitempty"`
	Pointer  pointerMethods            `json:"pointer"`
}

// odd has what encoding/json treats in ways of its own.
type odd struct {
	Number   json.Number            `json:"number"`
	Numbers  map[string]json.Number `json:"numbers,omitempty"`
	Since    *time.Time             `json:"since,omitzero"`
	Func     func()                 `json:"func,omitempty"`
	Chan     chan int               `json:"chan,omitempty"`
	Unnamed  struct{ time.Time }    `json:"unnamed"`
	Unnameds []struct{ ownMethods } `json:"unnameds,omitempty"`
}

// odder has what can be encoded of that.
type odder struct {
	Number   json.Number             `json:"number"`
	Numbers  map[string]json.Number  `json:"numbers,omitempty"`
	Since    *time.Time              `json:"since,omitzero"`
	Marshal  json.Marshaler          `json:"marshal"`
	Deleted  string                  "json:\"a\x7fb\""
	Unnamed  struct{ time.Time }     `json:"unnamed"`
	Named    namedPointer            `json:"named,omitempty"`
	Names    []namedPointer          `json:"names,omitempty"`
	Unnameds []struct{ textMethods } `json:"unnameds,omitempty"`
}

type namedPointer *ownMethods

var documents = []string{
	`{"number":12,"numbers":{"a":1.5}}`, `{"number":"12"}`, `{"number":"abc"}`, `{"number":null,"numbers":{"a":null}}`, `{"since":"0001-01-01T00:00:00Z"}`,
	`{"unnamed":"2020-01-01T00:00:00Z"}`, `{"unnamed":{"Time":"2020-01-01T00:00:00Z"}}`, `{"unnameds":["a"]}`, `{"unnameds":[{"Text":"a"}]}`,
	`{"named":{"Text":"a"}}`, `{"named":"a"}`, `{"names":["a",null]}`, "{\"a\x7fb\":\"x\"}", `{"Deleted":"x"}`, `{"marshal":null}`, `{"marshal":1}`,
	`{}`, `null`, `[]`, `""`, `1`, ` { } `, `{"kind":"a","name":"b"}`, `{"KIND":"a","untagged":"x","Untagged":"y"}`,
	`{"kind":"a","kind":"b"}`, `{"inner":{"a":"x"},"inner":{"b":1}}`, `{"int":1,"int32":-2,"int64":9223372036854775807}`,
	`{"int32":2147483648}`, `{"int64":-9223372036854775808,"int":1e3}`, `{"int":1.5}`, `{"int":-0,"any":-0}`, `{"int":01}`,
	`{"int":"1"}`, `{"bool":true,"word":"w"}`, `{"bool":false}`, `{"bool":null,"int":null,"name":null,"inner":null}`,
	`{"inner":{"a":"x","b":7,"c":{"d":["]}",{"e":"\"}"}]}}}`, `{"pointer":{"a":"\u00e9\n\"\\\/\b\f\r\t"},"list":[{"a":"1"},{"a":"2"},{}]}`,
	`{"pointer":null,"list":null,"strings":[],"map":{},"maps":{"a":null,"b":"c"},"words":{"x":"y","z":null}}`,
	`{"strings":["1","2","3","4","5"],"lists":[[1,2],[],null,[3]],"pointers":[{"a":"1"},null]}`, `{"strings":[null,"a"]}`,
	`{"map":{"x":{"a":"1","b":2},"y":null},"labels":{"app.kubernetes.io/name":"a"}}`,
	`{"any":{"a":[1,2.5,-3,1e400]}}`, `{"any":{"a":[1,2.5,-3,1e40,123456789012345678901234567890,true,false,null,"s",{}]}}`,
	`{"anything":{"b":"ü","a":"😀","c":"\ud83d\ude00","d":"\ud83d","e":"\u2028"},"items":[],"raw":{"x" : [1, 2]}}`,
	`{"raw":null,"any":null,"time":"2026-01-02T03:04:05Z","deleted":"2026-01-02T03:04:05.5+01:00"}`, `{"deleted":null,"time":null}`,
	`{"time":"yesterday"}`, `{"recursive":{"recursive":{"kind":"deep"}},"float":1.25,"uint":7,"bytes":"aGk=","array":[1,2],"byNumber":{"1":"a"}}`,
	`{"uint":-1}`, `{"bytes":"?"}`, `{"list":{"a":1}}`, `{"map":[]}`, `{"name":{}}`, `{"name":1}`, `{"strings":[1]}`, `{"-":"dash","Left":"x"}`, `{"":`, `{"a`, `{"list":[`, `[`, `[1,`, `{"int":`, `{"any":`, `"\`,
	`{"unexported":"x","embedded":{"kind":"y"}}`, "{\"\u212aind\":\"kelvin\"}", "{\"name\":\"\xff\"}", `{"metadata":{"kind":"k"},"spec":{"a":"b"},"count":3}`,
	`{"status":{"conditions":[{"type":"Available","status":"True"}]},"list":[{"b":3}]}`, `{"own":"x","ownPtr":"y","owns":{"a":"b"}}`,
	`{"text":"text:x","textPtr":"text:y","byText":{"text:a":"b"},"pointer":{"Text":"z"},"pointers":{"a":{"Text":"q"}}}`,
	`{"number":"3"}`, `{"number":3}`, `{"a":1,"b":2,"kind":"k"}`, `{"a":"` + strings.Repeat("long text \\n", 50) + `"}`,
}

// decodeBoth decodes a document here and with encoding/json, and encodes the result with both.
func decodeBoth[T any](t *testing.T, document string) {
	t.Helper()
	if !json.Valid([]byte(document)) {
		_, _ = Decode[T](Part(document)) // whatever comes of it
		return
	}
	var want T
	wantErr := json.Unmarshal([]byte(document), &want)
	got, err := Decode[T](Part(document))
	if !sameError(err, wantErr) {
		t.Fatalf("%T from %s: want error %v, got %v", want, document, wantErr, err)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%T from %s (-want +got):\n%s", want, document, cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })))
	}
	encodeBoth(t, want)
	encodeBoth(t, &want)
	encodeBoth(t, []any{want, map[string]any{"x": &want}})
}

func sameError(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}

func encodeBoth(t *testing.T, value any) {
	t.Helper()
	want, wantErr := encode(value)
	got, err := Append([]byte("before"), value)
	if !sameError(err, wantErr) {
		t.Fatalf("%#v: want error %v, got %v", value, wantErr, err)
	}
	if err == nil && !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Fatalf("%#v:\nwant before%s\ngot  %s", value, want, got)
	}
	want, wantErr = json.Marshal(value)
	got, err = Marshal(value)
	if !sameError(err, wantErr) || !bytes.Equal(got, want) {
		t.Fatalf("%#v:\nwant %s and error %v\ngot  %s and error %v", value, want, wantErr, got, err)
	}
}

func decodeAll(t *testing.T, document string) {
	t.Helper()
	decodeBoth[everything](t, document)
	decodeBoth[plainOnly](t, document)
	decodeBoth[promoted](t, document)
	decodeBoth[asString](t, document)
	decodeBoth[methods](t, document)
	decodeBoth[odd](t, document)
	decodeBoth[odder](t, document)
	decodeBoth[any](t, document)
	decodeBoth[map[string]any](t, document)
	decodeBoth[map[string]string](t, document)
	decodeBoth[[]string](t, document)
	decodeBoth[*inner](t, document)
	decodeBoth[string](t, document)
	decodeBoth[int32](t, document)
	decodeBoth[Parts](t, document)
	decodeBoth[map[string]Parts](t, document)
	decodeBoth[struct{}](t, document)
}

func TestDocuments(t *testing.T) {
	for _, document := range documents {
		decodeAll(t, document)
	}
}

func FuzzDocuments(f *testing.F) {
	for _, document := range documents {
		f.Add(document)
	}
	f.Fuzz(decodeAll)
}

// What is plain is not left to encoding/json, or nothing would be gained.
func TestPlainTypesAreDoneHere(t *testing.T) {
	document := `{"metadata":{"kind":"k","labels":{"a":"b"}},"spec":{"a":"\n","b":1},"list":[{"a":"x"}],"status":{"x":[1,true,null]},"count":5}`
	d := decoder{text: document}
	var value plainOnly
	p := planOf(reflect.TypeFor[plainOnly]())
	if !d.value(p, unsafe.Pointer(&value), 0) {
		t.Error("decoding is left to encoding/json")
	}
	e := encoder{}
	if !e.any(value, 0) {
		t.Error("encoding is left to encoding/json")
	}
}

func TestStrings(t *testing.T) {
	for _, part := range []string{
		"", "a", "\x00", "\x1f", " ", "\"", "\\", "<&>", "\x7f", "\x80", "é", "\u2028", "\u2029", "\ufffd", "\xff\xfe", "😀", "\n\t\r\b\f",
	} {
		for before := range 18 {
			text := strings.Repeat("x", before) + part + "y"
			encodeBoth(t, text)
			encodeBoth(t, map[string]string{text: text})
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			decodeBoth[string](t, string(quoted))
			decodeBoth[map[string]string](t, "{"+string(quoted)+":"+string(quoted)+"}")
		}
	}
}

// Where values end is found for each way in which they may lie in words, as a decoder of encoding/json finds it.
func TestEnds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"", "a", `\`, `"`, "{", "}", "[", "]", "\n", "é", "{\"", "long enough for a few words", strings.Repeat(`\`, 9)}
	text := func() (s string) {
		for range random.IntN(4) {
			s += pieces[random.IntN(len(pieces))]
		}
		return s
	}
	var value func(depth int) any
	value = func(depth int) any {
		switch kind := random.IntN(6); {
		case kind < 2 && depth > 0:
			m := map[string]any{}
			for range random.IntN(4) {
				m[text()] = value(depth - 1)
			}
			return m
		case kind < 4 && depth > 0:
			list := []any{}
			for range random.IntN(4) {
				list = append(list, value(depth-1))
			}
			return list
		case kind == 4:
			return random.IntN(1000)
		default:
			return text()
		}
	}
	for range 20_000 {
		encoded, err := encode([]any{value(5), map[string]any{text(): value(5)}}[random.IntN(2)])
		if err != nil {
			t.Fatal(err)
		}
		before, after := strings.Repeat(" ", random.IntN(8)), strings.Repeat("}", random.IntN(9))
		document := before + string(encoded) + after
		var got int
		switch encoded[0] {
		case '"':
			got = StringEnd(document, len(before)+1)
		case '{', '[':
			got = NestedEnd(document, len(before), 10)
			if cut := NestedEnd(document[:len(before)+random.IntN(len(encoded))], len(before), 10); cut != -1 {
				t.Fatalf("%s: it ends at %d before it is over", document, cut)
			}
		default:
			continue
		}
		if want := len(before) + len(encoded); got != want {
			t.Fatalf("%s: it ends at %d, want %d", document, got, want)
		}
	}
	// What is no JSON ends where it does byte by byte.
	const characters = "{}[]\"\\ a\xdb\x80"
	for range 500_000 {
		document := []byte{'['}
		for range random.IntN(40) {
			document = append(document, characters[random.IntN(len(characters))])
		}
		if got, want := NestedEnd(string(document), 0, maxDepth), restEnd(string(document), 1, 1, false); got != want {
			t.Fatalf("%q: it ends at %d, want %d", document, got, want)
		}
	}
	for _, endless := range []string{`"`, `"\"`, `"12345678`, `"1234567\"`, `"\\\"`} {
		if end := StringEnd(endless, 1); end != -1 {
			t.Errorf("%s ends at %d", endless, end)
		}
	}
}

// Which machines have the highest byte of a word first is known at compile time.
func TestBigEndian(t *testing.T) {
	if want := binary.NativeEndian.Uint16([]byte{0, 1}) == 1; bigEndian != want {
		t.Errorf("got %t, want %t", bigEndian, want)
	}
}

func TestValues(t *testing.T) {
	text := "s"
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	deep := any("end")
	for range 2 * maxDepth {
		deep = []any{deep}
	}
	encodeBoth(t, deep)
	for _, value := range []any{
		nil, true, 1, int8(2), uint64(3), 1.5, math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e-6, 1e-7, 1e20, 1e21, -123.25, 1 << 53, 0.1, float32(0.1),
		int64(math.MinInt64), "", []any(nil),
		[]any{},
		map[string]any(nil),
		map[string]any{},
		map[string]string(nil),
		words{"b": "1", "a": "2"},
		&text, new(*string), []string(nil),
		[]*string{nil, &text},
		[1]*string{&text},
		struct{ P *string }{&text},
		struct{}{},
		cyclic, make(chan int),
		map[string]any{"f": func() {}},
		json.RawMessage(`{"a": 1}`), json.RawMessage(`{`),
		json.RawMessage(nil),
		ownMethods{"o"},
		&ownMethods{"p"}, (*ownMethods)(nil),
		pointerMethods{"q"},
		&pointerMethods{"r"},
		[]pointerMethods{{"s"}},
		textMethods{"t"},
		&textMethods{"u"},
		map[textMethods]int{{"v"}: 1},
		map[string]json.Marshaler{"x": ownMethods{"w"}, "y": nil},
		time.Unix(0, 0).UTC(),
		json.Number("1.50"),
		map[string]any{"a": json.Number("")},
		json.Number("x"),
		odd{},
		odder{Since: &time.Time{}},
		odder{Marshal: (*nilMethods)(nil)},
		map[bool]int(nil),
		map[string]func(){"nil": nil},
		word("w"),
		struct {
			A string `json:",string"`
		}{"<"},
		[]any{"<&>", json.RawMessage("\"<\u2028\""), ownMethods{"<"}, map[string]string{"<": "\u2029"}},
		[]word{"a"},
		map[string]any{"b": int32(1), "a": []byte("hi")},
		struct {
			Any any `json:",omitempty"`
			S   string
		}{},
	} {
		encodeBoth(t, value)
	}
}

// Nesting that would overflow a stack is left to encoding/json, which refuses it.
func TestDeepDocuments(t *testing.T) {
	for _, depth := range []int{maxDepth - 1, maxDepth, maxDepth + 1, 9_999, 10_001} {
		decodeBoth[any](t, strings.Repeat("[", depth)+strings.Repeat("]", depth))
		decodeBoth[struct{}](t, `{"x":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+"}")
		decodeBoth[everything](t, strings.Repeat(`{"recursive":`, depth)+"{}"+strings.Repeat("}", depth))
	}
}

// Modules answer one request at a time, and tests several.
func TestPlansAreMadeOnce(t *testing.T) {
	type fresh struct {
		Name  string
		Again *fresh
	}
	results := make(chan fresh)
	for range 8 {
		go func() {
			value, _ := Decode[fresh](`{"Name":"a","Again":{"Name":"b"}}`)
			results <- value
		}()
	}
	for range 8 {
		if got := <-results; got.Again == nil || got.Again.Name != "b" {
			t.Errorf("got %+v", got)
		}
	}
}
