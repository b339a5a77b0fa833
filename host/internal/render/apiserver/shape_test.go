package apiserver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// schemas are those that values are held against, each in YAML as in a CustomResourceDefinition.
var schemas = []string{
	`{type: object, required: [a], properties: {a: {type: string, minLength: 1, maxLength: 2}, b: {type: integer, minimum: 0, maximum: 2}, c: {type: boolean}}}`,
	`{type: object, properties: {a: {type: string, enum: [x, y]}, b: {type: string, pattern: "^[a-z]$"}, c: {type: string, format: date-time}}}`,
	`{type: object, additionalProperties: {type: integer, format: int32}, minProperties: 1, maxProperties: 2}`,
	`{type: object, additionalProperties: {type: array, items: {type: string}, minItems: 1, maxItems: 2}}`,
	`{type: object, properties: {a: {type: number}, b: {type: array, items: {type: object, required: [a]}}, c: {type: string, nullable: true}}}`,
	`{type: object, properties: {a: {x-kubernetes-preserve-unknown-fields: true}, b: {x-kubernetes-int-or-string: true}, c: {type: object}}}`,
	`{type: object, properties: {a: {type: integer, exclusiveMinimum: true, minimum: 0}, b: {type: string, not: {enum: [x]}}, c: {type: number, multipleOf: 2}}}`,
	`{type: object, properties: {a: {type: string, minimum: 1}, b: {type: integer, minLength: 2}, c: {enum: [1, x]}}}`,
	`{type: object, properties: {a: {type: string, nullable: true, enum: [x, y]}, b: {type: integer, maximum: 2.5}, c: {type: integer, format: int32, maximum: 4294967295}}}`,
	`{type: object, properties: {a: {type: number, maximum: 1.0e+19}, b: {type: integer, format: int64, maximum: 9223372036854775807}, c: {type: number, minimum: 0.5}}}`,
	`{type: array, uniqueItems: true, items: {type: string}}`,
	`{type: object, additionalProperties: false, properties: {a: {type: string, format: unheard-of}}}`,
	`{}`,
}

// TestShape holds shapes against Kubernetes' validator: what obviously fits, that finds nothing wrong with.
func TestShape(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, text := range schemas {
		encoded, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		of := &spec.Schema{}
		if err := json.Unmarshal(encoded, of); err != nil {
			t.Fatal(err)
		}
		shape, validator := shapeOf(of), validate.NewSchemaValidator(of, nil, "", strfmt.Default)
		fit, valid := 0, 0
		for range 3000 {
			value := anyValue(random, 3)
			result := validator.Validate(value)
			if result.IsValid() {
				valid++
			}
			if !shape.fits(value) {
				continue
			}
			if fit++; !result.IsValid() {
				t.Errorf("%s: %#v fits, but %v", text, value, result.Errors)
			}
		}
		t.Logf("%s: %d of %d valid values fit", text, fit, valid)
		if !shape.unsure && fit == 0 {
			t.Errorf("%s: nothing fits", text)
		}
	}
}

// anyValue returns some value, with objects and lists in it down to a depth.
func anyValue(random *rand.Rand, depth int) any {
	texts := []any{"", "x", "y", "é", "ab", "abc", "2026-01-01T00:00:00Z", "2026"}
	numbers := []any{int64(0), int64(1), int64(-1), int64(3), int64(1 << 40), 1.5, 2.0}
	if depth == 3 && random.IntN(10) > 0 { // an object, or the schemas see little
		return anyObject(random, depth)
	}
	switch kind := random.IntN(8); {
	case kind < 3:
		return texts[random.IntN(len(texts))]
	case kind < 5:
		return numbers[random.IntN(len(numbers))]
	case kind == 5:
		return []any{nil, true, false}[random.IntN(3)]
	case depth == 0:
		return "deep"
	case kind == 6:
		return anyObject(random, depth)
	default:
		list := make([]any, random.IntN(4))
		for i := range list {
			list[i] = anyValue(random, depth-1)
		}
		return list
	}
}

func anyObject(random *rand.Rand, depth int) map[string]any {
	object := map[string]any{}
	for i := range 4 {
		if random.IntN(3) == 0 {
			object[fmt.Sprintf("%c", 'a'+i)] = anyValue(random, depth-1)
		}
	}
	return object
}
