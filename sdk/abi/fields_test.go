package abi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestFields(t *testing.T) {
	cases := map[string]struct {
		object string
		want   map[string]string
		fails  bool
	}{
		"an empty object has none":             {object: " { } ", want: map[string]string{}},
		"values stay as they are written":      {object: `{"a": 1.50 ,"b":[1, {"c":"]}"}],"d":null}`, want: map[string]string{"a": "1.50", "b": `[1, {"c":"]}"}]`, "d": "null"}},
		"quotes and backslashes in strings":    {object: `{"a":"\"","b":"\\","c":"\\\"}","d":{"e":"\\"}}`, want: map[string]string{"a": `"\""`, "b": `"\\"`, "c": `"\\\"}"`, "d": `{"e":"\\"}`}},
		"names with escapes are decoded":       {object: `{"\u0061\"":1}`, want: map[string]string{`a"`: "1"}},
		"a list is no object":                  {object: `[]`, fails: true},
		"a name must be a string":              {object: `{a:1}`, fails: true},
		"a value must be there":                {object: `{"a":}`, fails: true},
		"a comma must be followed by a field":  {object: `{"a":1,}`, fails: true},
		"an object must end":                   {object: `{"a":{"b":1}`, fails: true},
		"a string must end":                    {object: `{"a":"b\"}`, fails: true},
		"nothing may follow":                   {object: `{} {}`, fails: true},
		"nothing at all is no object":          {object: ``, fails: true},
		"fields are separated by commas alone": {object: `{"a":1 "b":2}`, fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			err := Fields([]byte(c.object), func(name string, value json.RawMessage) error {
				got[name] = string(value)
				return nil
			})
			if (err != nil) != c.fails {
				t.Fatalf("error %v, want one: %t", err, c.fails)
			}
			if diff := cmp.Diff(c.want, got); !c.fails && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestItems(t *testing.T) {
	cases := map[string]struct {
		list  string
		want  []string
		fails bool
	}{
		"an empty list has none":            {list: " [ ] "},
		"values stay as they are written":   {list: `[1.50 ,"a]", [1, {"c":"]}"}],{"b": [ ]},null]`, want: []string{"1.50", `"a]"`, `[1, {"c":"]}"}]`, `{"b": [ ]}`, "null"}},
		"an object is no list":              {list: `{}`, fails: true},
		"a comma must be followed by more":  {list: `[1,]`, fails: true},
		"a value must be there":             {list: `[,1]`, fails: true},
		"items are separated by commas":     {list: `[1 2]`, fails: true},
		"a list must end":                   {list: `[1,[2]`, fails: true},
		"nothing may follow":                {list: `[] []`, fails: true},
		"nothing at all is no list":         {list: ``, fails: true},
		"a list does not end with a brace":  {list: `[1}`, fails: true},
		"a string in a list must end there": {list: `["a]`, fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := Items([]byte(c.list), func(value json.RawMessage) error {
				got = append(got, string(value))
				return nil
			})
			if (err != nil) != c.fails {
				t.Fatalf("error %v, want one: %t", err, c.fails)
			}
			if diff := cmp.Diff(c.want, got); !c.fails && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzFields shows that Fields finds in every valid object what encoding/json finds.
func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["\"",1e3,null]},"\u0061":"x\\"}`))
	f.Add([]byte(`{"metadata":{"name":"a"},"spec":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := Fields(data, func(name string, value json.RawMessage) error {
			got[name] = string(value)
			return nil
		})
		var want map[string]json.RawMessage
		if !utf8.Valid(data) || json.Unmarshal(data, &want) != nil || want == nil {
			return // not promised anything
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if !bytes.Equal(bytes.TrimSpace(value), []byte(got[name])) {
				t.Errorf("%q is %q, want %q", name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d fields, want %d", len(got), len(want))
		}
	})
}

// TestReader reads some values, goes into others, and passes over the rest.
func TestReader(t *testing.T) {
	const document = ` {"a": {"x":[1,"]"],"y":{}} , "b":[ {"c":"d"} , null,"e" ],"\u0066":null,"g":{"h":1},"i":"j"} `
	var got []string
	note := func(what string, value []byte) { got = append(got, what+"="+string(value)) }
	r := NewReader([]byte(document))
	item := func() error {
		if r.Null() {
			note("null", nil)
			return nil
		}
		value, err := r.Value()
		note("item", value)
		return err
	}
	err := r.Fields(func(name string) error {
		switch name {
		case "a":
			return r.Fields(func(name string) error {
				if name == "y" {
					return nil
				}
				return r.Items(item)
			})
		case "b":
			return r.Items(item)
		case "f":
			note(name, nil)
			if !r.Null() {
				t.Error("f is not null")
			}
		case "i":
			value, err := r.Value()
			note(name, value)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	want := []string{"item=1", `item="]"`, `item={"c":"d"}`, "null=", `item="e"`, "f=", `i="j"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestReaderAsksForNull asks of each item, and leaves it to be passed over if it is another.
func TestReaderAsksForNull(t *testing.T) {
	for document, want := range map[string]string{`[ 1 , null, [2] ,null ]`: "no yes no yes", `[null,1]`: "yes no", ` [ ] `: ""} {
		r, got := NewReader([]byte(document)), []string{}
		err := r.Items(func() error {
			got = append(got, map[bool]string{true: "yes", false: "no"}[r.Null()])
			return nil
		})
		if got := strings.Join(got, " "); err != nil || got != want {
			t.Errorf("%s: got %q and error %v, want %q", document, got, err, want)
		}
	}
}

// TestReaderFails stops where a value is another than it is read as, at whatever depth.
func TestReaderFails(t *testing.T) {
	for _, document := range []string{`{"a":[]}`, `{"a":{"b":`, `{"a":{"b":1]}`, `{"a":{"b" 1}}`, `{"a":{}`, `{"a":{}}}`, `{"a":}`, `{"a":nul}`} {
		r := NewReader([]byte(document))
		err := r.Fields(func(string) error {
			if r.Null() {
				return nil
			}
			return r.Fields(func(string) error { return nil })
		})
		if err == nil {
			err = r.End()
		}
		if err == nil {
			t.Errorf("%s: no error", document)
		}
	}
}
