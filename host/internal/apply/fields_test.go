package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// decode parses JSON as apimachinery does: whole numbers are int64.
func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	wrapped := &unstructured.Unstructured{}
	if err := wrapped.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Any","value":` + text + `}`)); err != nil {
		t.Fatal(err)
	}
	value, _ := wrapped.Object["value"].(map[string]any)
	return value
}

func TestCovers(t *testing.T) {
	tests := map[string]struct {
		reason string
		set    string
		value  string
		want   bool
	}{
		"same fields":            {"nobody has changed anything", `{"f:a":{},"f:b":{"f:c":{}}}`, `{"a":1,"b":{"c":2}}`, true},
		"more fields":            {"what we do not want any more was not changed by anybody", `{"f:a":{},"f:b":{}}`, `{"a":1}`, true},
		"field taken":            {"somebody has changed it", `{"f:a":{}}`, `{"a":1,"b":2}`, false},
		"deep field taken":       {"somebody has changed it", `{"f:a":{"f:b":{}}}`, `{"a":{"b":1,"c":2}}`, false},
		"empty object":           {"it is owned as a whole", `{"f:a":{}}`, `{"a":{}}`, true},
		"empty object taken":     {"even that can be wanted and taken", `{"f:b":{}}`, `{"a":{},"b":1}`, false},
		"atomic object":          {"it is owned as a whole, whatever is in it", `{"f:a":{}}`, `{"a":{"b":1}}`, true},
		"atomic list":            {"it is owned as a whole, whatever is in it", `{"f:a":{}}`, `{"a":[1,{"b":2}]}`, true},
		"object and its fields":  {"a dot stands for the object itself", `{"f:a":{".":{},"f:b":{}}}`, `{"a":{"b":1}}`, true},
		"items by key":           {"their order does not matter", `{"f:l":{"k:{\"n\":1}":{"f:n":{}},"k:{\"n\":2}":{"f:n":{}}}}`, `{"l":[{"n":2},{"n":1}]}`, true},
		"item by key taken":      {"somebody has removed it", `{"f:l":{"k:{\"n\":\"a\"}":{"f:n":{}}}}`, `{"l":[{"n":"a"},{"n":"b"}]}`, false},
		"field of item taken":    {"somebody has changed it", `{"f:l":{"k:{\"n\":\"a\"}":{"f:n":{}}}}`, `{"l":[{"n":"a","v":1}]}`, false},
		"key left to default":    {"the server names the item by the default too", `{"f:l":{"k:{\"n\":1,\"p\":\"TCP\"}":{"f:n":{}}}}`, `{"l":[{"n":1}]}`, true},
		"key that differs":       {"it is another item", `{"f:l":{"k:{\"n\":1,\"p\":\"TCP\"}":{"f:n":{},"f:p":{}}}}`, `{"l":[{"n":1,"p":"UDP"}]}`, false},
		"set":                    {"its items are named by value", `{"f:l":{"v:\"a\"":{},"v:\"b\"":{}}}`, `{"l":["b","a"]}`, true},
		"set item taken":         {"somebody has removed it", `{"f:l":{"v:\"a\"":{}}}`, `{"l":["a","b"]}`, false},
		"set item with escapes":  {"one value has several encodings", `{"f:l":{"v:\"<&>\"":{},"v:\"\\u003c\"":{}}}`, `{"l":["<&>","<"]}`, true},
		"set of numbers":         {"a number is one value, however it was decoded", `{"f:l":{"v:1":{},"v:2.5":{}}}`, `{"l":[1,2.5]}`, true},
		"set of booleans":        {"any scalar may be in a set", `{"f:l":{"v:true":{}}}`, `{"l":[true]}`, true},
		"set of objects":         {"an item is named by all of it", `{"f:l":{"v:{\"a\":1}":{}}}`, `{"l":[{"a":1}]}`, true},
		"set of other objects":   {"it is another item", `{"f:l":{"v:{\"a\":1}":{}}}`, `{"l":[{"a":2}]}`, false},
		"two items, one default": {"the one that gives all keys takes its own", `{"f:l":{"k:{\"n\":1,\"p\":\"T\"}":{"f:n":{},"f:x":{}},"k:{\"n\":1,\"p\":\"U\"}":{"f:n":{},"f:p":{}}}}`, `{"l":[{"n":1,"x":0},{"n":1,"p":"U"}]}`, true},
		"the one with the default taken": {
			"what is left is the other one's, though its keys do not contradict",
			`{"f:l":{"k:{\"n\":1,\"p\":\"U\"}":{"f:n":{},"f:p":{},"f:x":{}}}}`, `{"l":[{"n":1,"x":0},{"n":1,"p":"U","x":0}]}`, false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := covers(decode(t, tt.set), decode(t, tt.value), decode(t, tt.value)); got != tt.want {
				t.Errorf("%s: got %t, want %t", tt.reason, got, tt.want)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	tests := map[string]struct {
		reason string
		set    string
		value  string
		want   bool
	}{
		"same fields":     {"nothing is left over", `{"f:a":{},"f:b":{".":{},"f:c":{}}}`, `{"a":1,"b":{"c":2}}`, true},
		"field too many":  {"it is to be removed", `{"f:a":{},"f:b":{}}`, `{"a":1}`, false},
		"deep one":        {"it is to be removed", `{"f:a":{"f:b":{},"f:c":{}}}`, `{"a":{"b":1}}`, false},
		"item too many":   {"it is to be removed", `{"f:l":{"k:{\"n\":1}":{"f:n":{}},"k:{\"n\":2}":{"f:n":{}}}}`, `{"l":[{"n":1}]}`, false},
		"item's field":    {"it is to be removed", `{"f:l":{"k:{\"n\":1}":{"f:n":{},"f:v":{}}}}`, `{"l":[{"n":1}]}`, false},
		"set item":        {"it is to be removed", `{"f:l":{"v:\"a\"":{},"v:\"b\"":{}}}`, `{"l":["a"]}`, false},
		"fewer fields":    {"what lacks is the business of covers", `{"f:a":{}}`, `{"a":1,"b":2}`, true},
		"key by default":  {"the item gives fewer keys than its name", `{"f:l":{"k:{\"n\":1,\"p\":\"T\"}":{"f:n":{}}}}`, `{"l":[{"n":1}]}`, true},
		"exact one first": {"an item that leaves a key out must not stand for the other", `{"f:l":{"k:{\"n\":1,\"p\":\"U\"}":{"f:n":{},"f:p":{}}}}`, `{"l":[{"n":1},{"n":1,"p":"U"}]}`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := within(decode(t, tt.set), decode(t, tt.value)); got != tt.want {
				t.Errorf("%s: got %t, want %t", tt.reason, got, tt.want)
			}
		})
	}
}

func TestContains(t *testing.T) {
	const items = `{"f:l":{"k:{\"n\":1}":{"f:n":{},"f:v":{}}}}`
	tests := map[string]struct {
		reason           string
		set              string
		current, desired string
		want             bool
	}{
		"same":                {"nothing is to be written", `{"f:a":{}}`, `{"a":1}`, `{"a":1}`, true},
		"another value":       {"it is to be written", `{"f:a":{}}`, `{"a":1}`, `{"a":2}`, false},
		"field missing":       {"it is to be written", `{"f:a":{}}`, `{}`, `{"a":1}`, false},
		"others' field":       {"it is not ours to change", `{"f:a":{}}`, `{"a":1,"b":2}`, `{"a":1}`, true},
		"atomic list":         {"its order counts", `{"f:l":{}}`, `{"l":[1,2]}`, `{"l":[2,1]}`, false},
		"same atomic list":    {"nothing is to be written", `{"f:l":{}}`, `{"l":[1,2]}`, `{"l":[1,2]}`, true},
		"items by key":        {"others' items and fields do not count", items, `{"l":[{"n":2},{"n":1,"v":3,"w":4}]}`, `{"l":[{"n":1,"v":3}]}`, true},
		"item's other value":  {"it is to be written", items, `{"l":[{"n":1,"v":3}]}`, `{"l":[{"n":1,"v":4}]}`, false},
		"item missing":        {"it is to be written", items, `{"l":[]}`, `{"l":[{"n":1,"v":4}]}`, false},
		"list missing":        {"it is to be written", items, `{}`, `{"l":[{"n":1,"v":4}]}`, false},
		"object for a scalar": {"its type has changed", `{"f:a":{}}`, `{"a":1}`, `{"a":{"b":1}}`, false},
		"empty object":        {"the server does not always keep it", `{"f:a":{}}`, `{}`, `{"a":{}}`, true},
		"empty list":          {"the server does not always keep it", `{"f:l":{}}`, `{}`, `{"l":[]}`, true},
		"emptied list":        {"it is to be written", `{"f:l":{}}`, `{"l":[1]}`, `{"l":[]}`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := contains(decode(t, tt.set), decode(t, tt.current), decode(t, tt.desired)); got != tt.want {
				t.Errorf("%s: got %t, want %t", tt.reason, got, tt.want)
			}
		})
	}
}
