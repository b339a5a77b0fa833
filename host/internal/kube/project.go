package kube

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// named returns the paths of the fields that name an object, and are never left out.
func named() [][]string {
	return [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "uid"}}
}

// Only returns the object's JSON with the fields at these paths, and those that name the object.
func (o *Object) Only(paths []string) []byte {
	return project(o.JSON, append(named(), split(paths)...), true)
}

// Without returns an object's JSON without the fields at these paths.
func Without(object []byte, paths []string) []byte { return project(object, split(paths), false) }

func split(paths []string) [][]string {
	parts := make([][]string, len(paths))
	for i, path := range paths {
		parts[i] = splitPath(path)
	}
	return parts
}

// splitPath splits a path into names. They have dots between them; one with dots in it is in brackets:
// metadata.annotations[example.com/a].
func splitPath(path string) (names []string) {
	for path != "" {
		end := strings.IndexAny(path, ".[")
		switch {
		case end < 0:
			return append(names, path)
		case end > 0:
			names = append(names, path[:end])
		}
		rest := path[end+1:]
		if path[end] == '[' {
			name, after, _ := strings.Cut(rest, "]")
			names, rest = append(names, name), strings.TrimPrefix(after, ".")
		}
		path = rest
	}
	return names
}

// project returns an encoded object with only the fields at these paths, or with all but them.
func project(object []byte, paths [][]string, only bool) []byte {
	return slices.Clip(slices.Clone(appendProjected(make([]byte, 0, len(object)), object, paths, only)))
}

func appendProjected(dst, object []byte, paths [][]string, only bool) []byte {
	start := len(dst)
	dst = append(dst, '{')
	empty := len(dst)
	err := abi.Fields(object, func(name string, value json.RawMessage) error {
		whole, below := under(paths, name)
		through := !whole && len(below) > 0 && len(value) > 0 && value[0] == '{'
		if !through && whole != only { // where a path leads through what is no object, it leads nowhere
			return nil
		}
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		dst = append(abi.AppendString(dst, name), ':')
		if through {
			dst = appendProjected(dst, value, below, only)
		} else {
			dst = append(dst, value...)
		}
		return nil
	})
	if err != nil {
		return append(dst[:start], object...) // it was split when it came, so it does not fail now
	}
	return append(dst, '}')
}

// under returns whether one of the paths is the field of this name, and what is left of those that lead through it.
func under(paths [][]string, name string) (whole bool, below [][]string) {
	for _, path := range paths {
		switch {
		case path[0] != name:
		case len(path) == 1:
			whole = true
		default:
			below = append(below, path[1:])
		}
	}
	return whole, below
}

func sortedSet(items []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(items)))
}
