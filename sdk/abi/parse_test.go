package abi

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		document string
		want     any
	}{
		"an empty object":                        {`{}`, map[string]any{}},
		"an empty list":                          {`[]`, []any{}},
		"a null":                                 {`null`, nil},
		"booleans":                               {`[true,false]`, []any{true, false}},
		"an empty key":                           {`{"":1}`, map[string]any{"": int64(1)}},
		"a key with an escape":                   {`{"\u0061":1}`, map[string]any{"a": int64(1)}},
		"equal keys in different objects":        {`[{"a":1},{"a":{"a":2}}]`, []any{map[string]any{"a": int64(1)}, map[string]any{"a": map[string]any{"a": int64(2)}}}},
		"the largest whole number":               {`9223372036854775807`, int64(math.MaxInt64)},
		"the smallest whole number":              {`-9223372036854775808`, int64(math.MinInt64)},
		"a whole number that is too large":       {`9223372036854775808`, float64(1 << 63)},
		"minus zero":                             {`-0.0`, int64(0)},
		"a whole number with a fraction of zero": {`3.0`, int64(3)},
		"a whole number with an exponent":        {`12e2`, int64(1200)},
		"a fraction":                             {`0.1`, 0.1},
		"a number too small to tell from zero":   {`1e-400`, int64(0)},
		"text of several bytes a rune":           {`"Größe 日本 🚀"`, "Größe 日本 🚀"},
		"a surrogate pair":                       {`"\ud83d\ude80"`, "🚀"},
		"a surrogate pair after a backslash":     {`"\\\uD83D\uDE80"`, `\🚀`},
		"what looks like half of a pair":         {`"\\ud83d \ufffd"`, `\ud83d ` + "\ufffd"},
		"the replacement character itself":       {`"\ufffd` + "\ufffd" + `"`, "\ufffd\ufffd"},
		"a delete character":                     {"\"\x7f\"", "\x7f"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(tc.document))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("parse(%s) (-want +got):\n%s", tc.document, diff)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	if _, err := parse([]byte(deep)); err != nil {
		t.Errorf("a document of the greatest depth is refused: %v", err)
	}
	cases := map[string]struct {
		document string
		want     DecodeError
	}{
		"invalid UTF-8":              {"\"\xff\"", DecodeError{"", "not valid UTF-8"}},
		"too deep":                   {`{"a":` + "[" + deep + "]}", DecodeError{"a" + strings.Repeat("[0]", maxDepth), "nested deeper than 1000 at offset 1005"}},
		"never ends and is too deep": {strings.Repeat(`[`, 1_000_000), DecodeError{strings.Repeat("[0]", maxDepth+1), "nested deeper than 1000 at offset 1001"}},
		"a key with a dot":           {`{"a.b":{"c d":[0,{"":x}]}}`, DecodeError{`["a.b"]["c d"][1][""]`, "unexpected character 'x' at offset 21"}},
		"a duplicate in a list":      {`[{"k":1,"k":2}]`, DecodeError{"[0].k", "duplicate key"}},
		"no end of a string":         {`{"a":"b`, DecodeError{"a", "a string does not end at offset 7"}},
		"an escape at the end":       {`"\`, DecodeError{"", "a string does not end at offset 2"}},
		"half of a pair, then text":  {`"\ud83dx"`, DecodeError{"", "a string with half of a surrogate pair ends at offset 9"}},
		"half of a pair at the end":  {`"\ud83d"`, DecodeError{"", "a string with half of a surrogate pair ends at offset 8"}},
		"two first halves":           {`"\ud83d\ud83d"`, DecodeError{"", "a string with half of a surrogate pair ends at offset 14"}},
		"a pair, then half of one":   {`"\ud83d\ude80\ude80"`, DecodeError{"", "a string with half of a surrogate pair ends at offset 20"}},
		"a number alone":             {`-`, DecodeError{"", `bad number "-" at offset 1`}},
		"a word":                     {`nul`, DecodeError{"", "unexpected character 'n' at offset 0"}},
		"no colon":                   {`{"a" 1}`, DecodeError{"", `want ':' after key "a" at offset 5`}},
		"no comma":                   {`[1 2]`, DecodeError{"", "want ',' or ']' at offset 3"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(tc.document))
			if err == nil {
				t.Fatal("want an error")
			}
			if diff := cmp.Diff(tc.want, *err); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
		})
	}
}
