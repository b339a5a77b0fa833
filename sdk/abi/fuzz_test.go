package abi

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// stricter are the faults that encoding/json lets pass.
var stricter = []string{"not valid UTF-8", "duplicate key", "surrogate pair", "is out of range", "nested deeper"}

// FuzzDecodeResponse looks for documents that break the decoder, or that it reads in another way than encoding/json.
func FuzzDecodeResponse(f *testing.F) {
	for _, name := range []string{"responses_valid.json", "responses_invalid.json"} {
		for _, document := range documents(f, name) {
			f.Add(document)
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		checkParse(t, document)
		response, err := DecodeResponse(document)
		if err != nil {
			return
		}
		encoded, err := json.Marshal(response)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again, err := DecodeResponse(encoded)
		if err != nil {
			t.Fatalf("decode what was encoded: %v\n%s", err, encoded)
		}
		if diff := cmp.Diff(response, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("round trip (-before +after):\n%s", diff)
		}
		if (response.Children == nil) != (again.Children == nil) {
			t.Errorf("round trip: no opinion and no children are mixed up: %s", encoded)
		}
		if encodedAgain, err := json.Marshal(again); err != nil || !bytes.Equal(encoded, encodedAgain) {
			t.Errorf("two encodings of one response (%v):\n%s\n%s", err, encoded, encodedAgain)
		}
	})
}

// checkParse checks that parse takes what encoding/json takes, but for the faults where it is stricter, and reads it
// as the same.
func checkParse(t *testing.T, document []byte) {
	t.Helper()
	tree, fault := parse(document)
	if fault != nil {
		if json.Valid(document) && !isStricter(fault) {
			t.Errorf("encoding/json takes what parse refuses: %v", fault)
		}
		return
	}
	var want any
	if err := json.Unmarshal(document, &want); err != nil {
		t.Fatalf("parse takes what encoding/json refuses: %v", err)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	var got any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatalf("decode what was encoded: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parse reads it in another way (-encoding/json +parse):\n%s", diff)
	}
}

func isStricter(fault *DecodeError) bool {
	for _, message := range stricter {
		if strings.Contains(fault.Message, message) {
			return true
		}
	}
	return false
}

// documents returns the documents of a file of vectors.
func documents(f *testing.F, name string) [][]byte {
	f.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	var vectors []struct {
		Response json.RawMessage `json:"response"`
		Text     string          `json:"text"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		f.Fatal(err)
	}
	list := make([][]byte, len(vectors))
	for i, v := range vectors {
		list[i] = append([]byte(v.Text), v.Response...)
	}
	return list
}
