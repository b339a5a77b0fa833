package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	configfile "github.com/wasmloop/wasmloop/config"
)

// schemaNode is the part of a JSON Schema that config/schema.json uses. A root has definitions.
type schemaNode struct {
	Definitions          map[string]*schemaNode `json:"$defs"`
	Ref                  string                 `json:"$ref"`
	Type                 string                 `json:"type"`
	Pattern              string                 `json:"pattern"`
	Description          string                 `json:"description"`
	Const                string                 `json:"const"`
	Enum                 []string               `json:"enum"`
	Required             []string               `json:"required"`
	Properties           properties             `json:"properties"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Items                *schemaNode            `json:"items"`
	OneOf                []*schemaNode          `json:"oneOf"`
}

// properties are the fields of an object, in the order of the file.
type properties []property

type property struct {
	name string
	node *schemaNode
}

// UnmarshalJSON keeps the order, which a map would lose.
func (p *properties) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil { // the opening brace
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		node := &schemaNode{}
		if err := decoder.Decode(node); err != nil {
			return err
		}
		*p = append(*p, property{fmt.Sprint(name), node})
	}
	if _, err := decoder.Token(); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// configSchema is the schema of the config file.
type configSchema struct{ schemaNode }

func loadSchema() (*configSchema, error) {
	schema := &configSchema{}
	if err := json.Unmarshal(configfile.Schema, schema); err != nil {
		return nil, fmt.Errorf("cannot read the schema of the config file: %w", err)
	}
	return schema, nil
}

// configField is a field of the config file. The zero path is the file itself.
type configField struct {
	schema   *configSchema
	name     string
	path     string
	node     *schemaNode // nil for the file
	required bool
}

// object returns the schema of the object that a field holds, directly or in a list or map; nil if it holds none.
func (f *configField) object() *schemaNode {
	node := f.node
	if node == nil {
		return &f.schema.schemaNode
	}
	for {
		switch {
		case node.Ref != "":
			node = f.schema.Definitions[strings.TrimPrefix(node.Ref, "#/$defs/")]
		case len(node.OneOf) > 0:
			node = node.OneOf[0]
		case node.Items != nil:
			node = node.Items
		case node.mapped() != nil:
			node = node.mapped()
		case len(node.Properties) > 0:
			return node
		default:
			return nil
		}
	}
}

// mapped returns the schema of a map's values, nil if it is none.
func (n *schemaNode) mapped() *schemaNode {
	if len(n.AdditionalProperties) == 0 || n.AdditionalProperties[0] != '{' {
		return nil
	}
	value := &schemaNode{}
	if json.Unmarshal(n.AdditionalProperties, value) != nil {
		return nil
	}
	return value
}

// children returns the fields within a field.
func (f *configField) children() []*configField {
	object := f.object()
	if object == nil {
		return nil
	}
	var children []*configField
	for _, property := range object.Properties {
		path := property.name
		if f.path != "" {
			path = f.path + f.step() + "." + property.name
		}
		required := slices.Contains(object.Required, property.name)
		children = append(children, &configField{f.schema, property.name, path, property.node, required})
	}
	return children
}

// step is what stands between a field and those within it.
func (f *configField) step() string {
	switch {
	case f.isMap():
		return ".NAME"
	case f.isList():
		return "[]"
	default:
		return ""
	}
}

func (f *configField) isMap() bool { return f.node != nil && f.node.mapped() != nil }

func (f *configField) isList() bool {
	return f.node != nil && (f.node.Items != nil || len(f.node.OneOf) > 0)
}

// child returns the field of this name, nil if there is none.
func (f *configField) child(name string) *configField {
	for _, child := range f.children() {
		if child.name == name {
			return child
		}
	}
	return nil
}

// index is what may be written behind a list: [], [0].
var index = regexp.MustCompile(`\[\d*\]`)

// find returns the field of a path. The error has the names of those that may be meant.
func (s *configSchema) find(path string) (*configField, error) {
	field := &configField{schema: s}
	names := strings.Split(strings.Trim(index.ReplaceAllString(path, ""), "."), ".")
	for i, name := range names {
		next := field.child(name)
		isKey := field.isMap() && (name == "NAME" || name == "*" || i+1 < len(names) && field.child(names[i+1]) != nil)
		switch {
		case next != nil:
			field = next
		case isKey: // the entry has the fields of the map
		default:
			return nil, s.unknown(path, field)
		}
	}
	return field, nil
}

func (s *configSchema) unknown(path string, last *configField) error {
	var all []string
	var visit func(field *configField)
	visit = func(field *configField) {
		for _, child := range field.children() {
			all = append(all, plainPath(child.path))
			visit(child)
		}
	}
	visit(&configField{schema: s})
	if near := nearest(plainPath(index.ReplaceAllString(path, "")), all); len(near) > 0 {
		return fmt.Errorf("the config file has no field %s: is it %s?", path, strings.Join(near, " or "))
	}
	var names []string
	for _, child := range last.children() {
		names = append(names, child.name)
	}
	if len(names) == 0 {
		return fmt.Errorf("the config file has no field %s: there are no fields in %s", path, plainPath(last.path))
	}
	within := "the file"
	if last.path != "" {
		within = plainPath(last.path)
	}
	return fmt.Errorf("the config file has no field %s: in %s there are %s", path, within, strings.Join(names, ", "))
}

// plainPath returns a path as a person types it.
func plainPath(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "[]", ""), ".NAME", "")
}

// typeName returns a field's type in the words of config/README.md.
func (f *configField) typeName() string {
	if f.node == nil {
		return "object"
	}
	if len(f.node.OneOf) > 0 {
		return "object or list of objects"
	}
	return f.schema.typeOf(f.node)
}

func (s *configSchema) typeOf(n *schemaNode) string {
	switch {
	case n.Ref != "":
		return "object"
	case n.Items != nil:
		return "list of " + s.typeOf(n.Items) + "s"
	case n.mapped() != nil:
		return s.typeOf(n.mapped()) + " by name"
	case n.Type == "integer":
		return "number"
	case strings.Contains(n.Pattern, "|ms|"):
		return "duration"
	case strings.Contains(n.Pattern, "KMGTPE"):
		return "quantity"
	default:
		return n.Type
	}
}

// values returns what a field may be, if that is a few words.
func (f *configField) values() []string {
	switch {
	case f.node == nil:
		return nil
	case f.node.Const != "":
		return []string{f.node.Const}
	default:
		return f.node.Enum
	}
}

// The defaults are in the descriptions, which come from the comments of the types: "Default 64Mi, at most 4Gi." and
// "Default: that of the reconciled object."
var (
	defaultWord   = regexp.MustCompile(`\bDefault ([^\s:;,]+?)[.:;,]?(\s|$)`)
	defaultPhrase = regexp.MustCompile(`\bDefault: ([^.]+)\.`)
)

func (f *configField) defaultValue() string {
	text := f.description()
	if match := defaultWord.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	if match := defaultPhrase.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	return ""
}

// description returns what a field is for. The comments of the types begin with the field's name in Go.
func (f *configField) description() string {
	if f.node == nil {
		return f.schema.Description
	}
	text := f.node.Description
	if first, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(first, f.name) {
		text = f.name + " " + rest
	}
	return text
}
