package abi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// owner is the reconciled object of all response vectors.
var owner = abi.Reference{APIVersion: "view.example.com/v1", Kind: "MarkdownView", Namespace: "default", Name: "a"}

// vector is a case of the response vectors. A document that is not JSON, or whose form matters, is given as Text.
type vector struct {
	Name     string          `json:"name"`
	Response json.RawMessage `json:"response"`
	Text     *string         `json:"text"`
	// Children are what an accepted response has, as "Kind namespace/name". Nil: no opinion.
	Children []string `json:"children"`
	// Path is where a refused response is wrong.
	Path string `json:"path"`
}

func (v vector) document() []byte {
	if v.Text != nil {
		return []byte(*v.Text)
	}
	return v.Response
}

// vectors reads a file of testdata.
func vectors[T any](tb testing.TB, name string) []T {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var list []T
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return list
}

func TestValidResponses(t *testing.T) {
	for _, v := range vectors[vector](t, "responses_valid.json") {
		t.Run(v.Name, func(t *testing.T) {
			response, err := abi.DecodeResponse(v.document())
			if err != nil {
				t.Fatal(err)
			}
			if err := response.CheckChildren(owner); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Children, names(response)); diff != "" {
				t.Errorf("children (-want +got):\n%s", diff)
			}
			checkRoundTrip(t, response)
		})
	}
}

func names(response *abi.Response) []string {
	if response.Children == nil {
		return nil
	}
	list := make([]string, len(response.Children))
	for i, child := range response.Children {
		list[i] = child.Reference().String()
	}
	return list
}

// checkRoundTrip checks that a decoded response encodes to what decodes to the same, and that the encoding is stable.
// What is empty where empty means nothing may be left out.
func checkRoundTrip(t *testing.T, response *abi.Response) {
	t.Helper()
	encoded, err := json.Marshal(response)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	again, err := abi.DecodeResponse(encoded)
	if err != nil {
		t.Fatalf("decode what was encoded: %v\n%s", err, encoded)
	}
	if diff := cmp.Diff(response, again, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("round trip (-before +after):\n%s", diff)
	}
	if (response.Children == nil) != (again.Children == nil) || (response.Status == nil) != (again.Status == nil) {
		t.Errorf("round trip: absent and empty are mixed up: %s", encoded)
	}
	for i := range response.Related {
		if (response.Related[i].Names == nil) != (again.Related[i].Names == nil) {
			t.Errorf("round trip: no names and no restriction by names are mixed up: %s", encoded)
		}
	}
	encodedAgain, err := json.Marshal(again)
	if err != nil || !bytes.Equal(encoded, encodedAgain) {
		t.Errorf("two encodings of one response:\n%s\n%s (%v)", encoded, encodedAgain, err)
	}
}

func TestInvalidResponses(t *testing.T) {
	for _, v := range vectors[vector](t, "responses_invalid.json") {
		t.Run(v.Name, func(t *testing.T) {
			response, err := abi.DecodeResponse(v.document())
			if err == nil {
				err = response.CheckChildren(owner)
			}
			var fault *abi.DecodeError
			if !errors.As(err, &fault) {
				t.Fatalf("want a *DecodeError, got %v", err)
			}
			if fault.Path != v.Path {
				t.Errorf("want the path %q, got %q: %s", v.Path, fault.Path, fault.Message)
			}
		})
	}
}

// requestVector is a case of the request vectors.
type requestVector struct {
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request"`
	Want    struct {
		Controller string              `json:"controller"`
		Finalizing bool                `json:"finalizing"`
		Now        string              `json:"now"`
		Children   map[string][]string `json:"children"`
		Related    map[string][]string `json:"related"`
	} `json:"want"`
}

func TestRequests(t *testing.T) {
	for _, v := range vectors[requestVector](t, "requests.json") {
		t.Run(v.Name, func(t *testing.T) {
			request, err := abi.DecodeRequest(v.Request)
			if err != nil {
				t.Fatal(err)
			}
			got := v.Want
			got.Controller, got.Finalizing, got.Now = request.Controller, request.Finalizing, request.Now
			got.Children, got.Related = keys(request.Children), keys(request.Related)
			if diff := cmp.Diff(v.Want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			again, err := abi.DecodeRequest(request.AppendJSON(nil))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(request, again); diff != "" {
				t.Errorf("round trip (-before +after):\n%s", diff)
			}
		})
	}
}

func keys(objects abi.Objects) map[string][]string {
	byKind := make(map[string][]string, len(objects))
	for kind, byName := range objects {
		byKind[kind] = slices.AppendSeq([]string{}, maps.Keys(byName))
		slices.Sort(byKind[kind])
	}
	return byKind
}
