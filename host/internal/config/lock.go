package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wasmloop/wasmloop/host/internal/source"
)

// Locked is a module whose source was given a digest.
type Locked struct {
	// Name is that of the module in the config.
	Name string
	// Before and After are its source.
	Before, After string
}

// Lock returns the config file at path with a digest at the end of each source, as resolve finds it. Nothing else of the text is
// changed. A source that has a digest keeps it, unless it has a tag as well and update is true. Files on this machine stay as they
// are: they are not fetched from anywhere.
func Lock(path string, update bool, resolve func(source string) (pinned string, err error)) (text []byte, locked []Locked, err error) {
	conf, err := load(path, true, true)
	if err != nil {
		return nil, nil, err
	}
	if text, err = os.ReadFile(path); err != nil {
		return nil, nil, fmt.Errorf("cannot read the config: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	edits := map[position]edit{}
	for _, name := range slices.Sorted(maps.Keys(conf.Modules)) {
		before := conf.Modules[name].Source
		ref, err := source.Parse(before)
		if err != nil || strings.HasPrefix(before, fileScheme) {
			continue // what is no source, load has refused
		}
		if ref.Digest != "" && (!update || ref.Tag == "") {
			continue
		}
		ref.Digest = ""
		after, err := resolve(ref.String())
		if err != nil {
			return nil, nil, fmt.Errorf("module %s: %w", name, err)
		}
		if after == before {
			continue
		}
		node := valueOf(root.Content[0], "modules", name, "source")
		edits[position{node.Line, node.Column}] = edit{before, after}
		locked = append(locked, Locked{name, before, after})
	}
	text, err = replaceAll(text, edits)
	return text, locked, err
}

// edit is a text that takes the place of another.
type edit struct{ before, after string }

// valueOf returns what a YAML object has under a path, nil if there is nothing.
func valueOf(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for i := 0; node != nil && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				found = node.Content[i+1]
			}
		}
		node = found
	}
	return node
}

// replaceAll changes values at their places in a file, and nothing else.
func replaceAll(text []byte, edits map[position]edit) ([]byte, error) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	for at, e := range edits {
		line := lines[at.line-1]
		start := columnOffset(line, at.column)
		offset := bytes.Index(line[start:], []byte(e.before))
		if offset < 0 {
			return nil, fmt.Errorf("line %d: the source %s is written in more than one line, or with escapes: write it in one", at.line, e.before)
		}
		start += offset
		lines[at.line-1] = slices.Concat(line[:start], []byte(e.after), line[start+len(e.before):])
	}
	return bytes.Join(lines, nil), nil
}

// columnOffset returns where in a line a column begins, which are counted in characters from 1.
func columnOffset(line []byte, column int) int {
	characters := 1
	for offset := range string(line) {
		if characters == column {
			return offset
		}
		characters++
	}
	return len(line)
}
