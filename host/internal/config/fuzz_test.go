package config

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse holds Parse to two promises: it never panics, and what it returns is a config that says all that the file
// says: written as JSON and read again, it is the same.
func FuzzParse(f *testing.F) {
	sample, err := os.ReadFile("../../../config/wasmloop.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	for _, seed := range []string{
		header + "controllers:\n" + controller,
		header + "controllers:\n- {name: c, module: m, for: [], settings: {a: [1, 1.5, ~, .inf, 2020-01-01, \"\\a\"]}}",
		"a: &a [*a]", "? {a: b}\n: c", "<<: {a: b}", "- - - -", "%YAML 1.1\n---\n", "a: !!binary gIGC", "--- |\n a\n...\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse("config.yaml", data)
		if err != nil {
			if len(faultsOf(err)) == 0 {
				t.Fatalf("an error without a fault: %v", err)
			}
			return
		}
		encoded, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("config.json", encoded)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		if diff := cmp.Diff(config, again, cmp.Transformer("settings", decoded)); diff != "" {
			t.Fatalf("-first +second:\n%s", diff)
		}
	})
}

// decoded makes settings comparable that are written differently.
func decoded(settings json.RawMessage) (value any) {
	if len(settings) > 0 && json.Unmarshal(settings, &value) != nil {
		return string(settings)
	}
	return value
}
