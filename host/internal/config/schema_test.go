package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
)

var update = flag.Bool("update", false, "write the generated files anew")

const schemaFile = "../../../config/schema.json"

// TestSchema compares config/schema.json with the types. The generator lives in this test, so that no host carries it.
func TestSchema(t *testing.T) {
	compareGenerated(t, schemaFile, generateSchema(t))
}

// TestSchemaOfTheChart compares the copy in the chart's own schema, by which Helm refuses a wrong config before it installs anything.
func TestSchemaOfTheChart(t *testing.T) {
	const file = "../../../deploy/charts/wasmloop/values.schema.json"
	var values, copied map[string]any
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encode(t, generateSchema(t)), &copied); err != nil {
		t.Fatal(err)
	}
	copied["$id"] = "https://wasmloop.dev/config.json"
	values["$defs"] = map[string]any{"HostConfig": copied}
	compareGenerated(t, file, values)
}

// compareGenerated demands that the file holds what was generated, once it has written that when asked to.
func compareGenerated(t *testing.T, file string, generated any) {
	t.Helper()
	want := encode(t, generated)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run make generate: -types +%s:\n%s", file, diff)
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func generateSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	reflector := &jsonschema.Reflector{Mapper: mapType, ExpandedStruct: true, Anonymous: true}
	if err := reflector.AddGoComments("github.com/wasmloop/wasmloop/host/internal/config", "."); err != nil {
		t.Fatal(err)
	}
	schema := reflector.Reflect(Config{})
	schema.Title = "Wasmloop host config"
	for property, value := range map[string]string{"apiVersion": APIVersion, "kind": Kind} {
		found, _ := schema.Properties.Get(property)
		found.Const = value
	}
	source, _ := schema.Definitions["Module"].Properties.Get("source")
	source.Pattern = "^(file|oci|https|configmap)://."
	isolation, _ := schema.Definitions["Module"].Properties.Get("isolation")
	isolation.Enum = []any{"hermetic", "pooled"}
	strategy, _ := schema.Definitions["Owned"].Properties.Get("updateStrategy")
	strategy.Enum = []any{UpdateInPlace, UpdateRecreate, UpdateOnDelete}
	reference, _ := schema.Definitions["Owned"].Properties.Get("ownerReference")
	reference.Enum = []any{OwnerReferenceController, OwnerReferenceOwner}
	controllers, _ := schema.Properties.Get("controllers")
	controllers.MinItems = new(uint64(1))
	oneOrMany(schema.Definitions["Controller"], "for")
	label(schema.Definitions["Controller"], "name")
	for _, definition := range schema.Definitions {
		unwrap(definition)
	}
	unwrap(schema)
	return schema
}

// mapType gives the types that are strings in the file their form.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[Size](), reflect.TypeFor[Count]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[+]?[0-9.]+([numk]|[KMGTPE]i?|[eE][+-]?[0-9]+)?$`}
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case reflect.TypeFor[json.RawMessage]():
		return &jsonschema.Schema{Type: "object"}
	case reflect.TypeFor[int]():
		return &jsonschema.Schema{Type: "integer", Minimum: "0"}
	default:
		return nil
	}
}

// oneOrMany lets a list of one item be written as the item.
func oneOrMany(definition *jsonschema.Schema, name string) {
	list, _ := definition.Properties.Get(name)
	description := list.Description
	list.Description = ""
	list.MinItems = new(uint64(1))
	definition.Properties.Set(name, &jsonschema.Schema{
		Description: description, OneOf: []*jsonschema.Schema{list.Items, list},
	})
}

// label makes a field a DNS label.
func label(definition *jsonschema.Schema, name string) {
	field, _ := definition.Properties.Get(name)
	field.Pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
	field.MaxLength = new(uint64(63))
}

// unwrap makes one line of each description, as the sources break them anywhere.
func unwrap(schema *jsonschema.Schema) {
	schema.Description = strings.Join(strings.Fields(schema.Description), " ")
	for pair := schema.Properties.Oldest(); pair != nil; pair = pair.Next() {
		unwrap(pair.Value)
	}
}

// TestReference holds config/README.md to the types: it tells of every field, and its examples are valid.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../../config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	schema := generateSchema(t)
	definitions := []*jsonschema.Schema{schema}
	for _, definition := range schema.Definitions {
		definitions = append(definitions, definition)
	}
	for _, definition := range definitions {
		for field := definition.Properties.Oldest(); field != nil; field = field.Next() {
			if !strings.Contains(string(text), field.Key+"`") && !strings.Contains(string(text), "`"+field.Key+".") {
				t.Errorf("it does not tell of the field %s", field.Key)
			}
		}
	}
	examples := 0
	for i, block := range strings.Split(string(text), "```") {
		example, isYAML := strings.CutPrefix(block, "yaml\n")
		if i%2 == 0 || !isYAML {
			continue
		}
		examples++
		if _, err := Parse("config/README.md", []byte(example)); err != nil {
			t.Errorf("%v in the example:\n%s", err, example)
		}
	}
	if examples == 0 {
		t.Error("it has no examples")
	}
}
