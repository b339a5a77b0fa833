package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"

	"go.yaml.in/yaml/v3"
)

// position is a place in a YAML file, counted from 1.
type position struct{ line, column int }

// oneOrMore matches the paths where one object may stand in place of a list of them.
var oneOrMore = regexp.MustCompile(`^controllers\[\d+\]\.for$`)

// document is a YAML document as JSON that remembers where each of its values stood, so that whatever reads the JSON
// can say where in the file it found a fault.
type document struct {
	name   string // of the file, for faults
	json   []byte
	byPath map[string]position
	marks  []mark // in the order of their offsets
}

// mark says that the JSON value that begins at offset is that of path, and where it stood.
type mark struct {
	offset int
	path   string
	at     position
}

// parseYAML reads the only document of a file.
func parseYAML(data []byte) (*document, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, faultAt(position{second.Line, second.Column}, "the file holds a second document")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
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

// markBefore returns the mark of the last value that begins before offset in the JSON.
func (d *document) markBefore(offset int) mark {
	i := sort.Search(len(d.marks), func(i int) bool { return d.marks[i].offset >= offset })
	return d.marks[max(i-1, 0)]
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
	d.marks = append(d.marks, mark{len(d.json), path, at})
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
		return faultAt(at, "aliases are not supported: write the value out")
	}
}

func (d *document) writeMapping(path string, node *yaml.Node) error {
	d.json = append(d.json, '{')
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return faultAt(position{key.Line, key.Column}, "a key must be a plain string")
		}
		if seen[key.Value] {
			return faultAt(position{key.Line, key.Column}, "duplicate key %q", key.Value)
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
		if err := d.appendJSON(key.Value); err != nil {
			return err
		}
		d.json = append(d.json, ':')
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
	var value any = node.Value
	if node.ShortTag() != "!!timestamp" { // settings have it as it was written
		if err := node.Decode(&value); err != nil {
			return err
		}
	}
	if err := d.appendJSON(value); err != nil {
		return faultAt(position{node.Line, node.Column}, "JSON has no such value: %s", node.Value)
	}
	return nil
}

func (d *document) appendJSON(scalar any) error {
	encoded, err := json.Marshal(scalar)
	d.json = append(d.json, encoded...)
	return err
}
