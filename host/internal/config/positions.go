package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// position is a place in a YAML file, counted from 1.
type position struct{ line, column int }

// oneOrMore matches the paths where one object may stand in place of a list of them.
var oneOrMore = regexp.MustCompile(`^controllers\[\d+\]\.for$`)

// document is a YAML document as JSON that remembers where each of its values stood, so that whatever reads the JSON
// can say where in the file it found a fault.
type document struct {
	json   []byte
	byPath map[string]position
	marks  []mark // in the order of their offsets
}

// mark says that the JSON value that begins at offset stood at position.
type mark struct {
	offset int
	at     position
}

// parseYAML reads the only document of a file.
func parseYAML(data []byte) (*document, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := decoder.Decode(&root); err == io.EOF {
		return nil, fmt.Errorf("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); err != io.EOF {
		return nil, fmt.Errorf("the file holds more than one document")
	}
	d := &document{byPath: map[string]position{}}
	if err := d.write("", root.Content[0]); err != nil {
		return nil, err
	}
	return d, nil
}

// at returns the place of the value at path; unknown paths have that of the closest known ancestor's.
func (d *document) at(path string) position {
	for path != "" {
		if p, ok := d.byPath[path]; ok {
			return p
		}
		path = parent(path)
	}
	return d.byPath[""]
}

// atOffset returns the place of the value that ends at or before offset in the JSON.
func (d *document) atOffset(offset int) position {
	i := sort.Search(len(d.marks), func(i int) bool { return d.marks[i].offset >= offset })
	return d.marks[max(i-1, 0)].at
}

// parent cuts the last segment off a path.
func parent(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

func (d *document) write(path string, node *yaml.Node) error {
	at := position{node.Line, node.Column}
	if _, known := d.byPath[path]; !known {
		d.byPath[path] = at
	}
	d.marks = append(d.marks, mark{len(d.json), at})
	switch node.Kind {
	case yaml.MappingNode:
		if oneOrMore.MatchString(path) {
			return d.writeSequence(path, &yaml.Node{Content: []*yaml.Node{node}})
		}
		return d.writeMapping(path, node)
	case yaml.SequenceNode:
		return d.writeSequence(path, node)
	case yaml.ScalarNode:
		return d.writeScalar(node)
	default:
		return fmt.Errorf("line %d, column %d: anchors and aliases are not supported here", node.Line, node.Column)
	}
}

func (d *document) writeMapping(path string, node *yaml.Node) error {
	d.json = append(d.json, '{')
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return fmt.Errorf("line %d, column %d: a key must be a plain string", key.Line, key.Column)
		}
		if seen[key.Value] {
			return fmt.Errorf("line %d, column %d: duplicate key %q", key.Line, key.Column, key.Value)
		}
		seen[key.Value] = true
		below := key.Value
		if path != "" {
			below = path + "." + key.Value
		}
		d.byPath[below] = position{key.Line, key.Column}
		if i > 0 {
			d.json = append(d.json, ',')
		}
		d.json = append(strconv.AppendQuote(d.json, key.Value), ':')
		if err := d.write(below, value); err != nil {
			return err
		}
	}
	d.json = append(d.json, '}')
	return nil
}

func (d *document) writeSequence(path string, node *yaml.Node) error {
	d.json = append(d.json, '[')
	for i, item := range node.Content {
		if i > 0 {
			d.json = append(d.json, ',')
		}
		if err := d.write(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
			return err
		}
	}
	d.json = append(d.json, ']')
	return nil
}

func (d *document) writeScalar(node *yaml.Node) error {
	var value any
	if err := node.Decode(&value); err != nil {
		return err
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("line %d, column %d: %w", node.Line, node.Column, err)
	}
	d.json = append(d.json, encoded...)
	return nil
}
