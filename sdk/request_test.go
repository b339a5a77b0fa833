package sdk

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMetaGoesByExactNames has fields beside those of all kinds, whose names differ from theirs in case.
func TestMetaGoesByExactNames(t *testing.T) {
	const request = `{"controller":"c","object":{"KIND":5,"Metadata":{"labels":{"x":"y"}},"apiVersion":"v1","kind":"K","metadata":{"name":"n","labels":{"a":"b"}}},"children":{}}`
	got, err := decodeRequest[map[string]any]([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Meta{APIVersion: "v1", Kind: "K", Name: "n", Labels: map[string]string{"a": "b"}}, got.Meta); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHashIsThatOfJSON keeps hashes as they were: another one would roll all Pods.
func TestHashIsThatOfJSON(t *testing.T) {
	for _, value := range []any{
		nil, "text", "<&>", "\u2028", json.RawMessage("\"\u2029\""), json.RawMessage(`"<"`), json.Number("3"),
		map[string]string{"b": "1", "a": "é"},
		map[string]any{"a": []any{1, 2.5, true, nil}},
		struct{ Object }{NewObject("v1", "ConfigMap", "a")},
		struct {
			A string `json:",string"`
		}{"<"},
	} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Hash(value), hash(encoded); got != want {
			t.Errorf("%s: got %s, want %s", encoded, got, want)
		}
	}
	// What it has always been.
	if got, want := Hash("text"), "b465892e208d60e2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
