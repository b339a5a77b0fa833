package check

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// variation is an object that differs from the one that was given.
type variation struct {
	what   string
	object render.Object
}

// identity are the fields that are not varied: they tell which object it is, or are the cluster's.
var identity = []string{"apiVersion", "kind", "metadata", "status"}

// variationsOf returns variations of an object in an order that random chooses: each has one field dropped, changed to an
// extreme or added, or a list in another order.
func variationsOf(object render.Object, random *rand.Rand) (all []variation) {
	add := func(what string, change func(content map[string]any)) {
		varied := object.DeepCopy()
		change(varied.Object)
		all = append(all, variation{what, varied})
	}
	for _, at := range nodesOf(object.Object, nil) {
		if len(at.path) == 0 || slices.Contains(identity, at.path[0]) {
			continue
		}
		name := pathText(at.path)
		if at.inList < 0 {
			add(name+" is dropped", func(content map[string]any) { unstructured.RemoveNestedField(content, at.path...) })
		}
		for _, extreme := range extremesOf(at.value) {
			add(fmt.Sprintf("%s is %s", name, extreme.what), func(content map[string]any) { set(content, at.path, extreme.value) })
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// extreme is a value at the border of what is possible.
type extreme struct {
	what  string
	value any
}

func extremesOf(value any) []extreme {
	switch v := value.(type) {
	case string:
		return []extreme{
			{"empty", ""}, {"very long", strings.Repeat("x", 300)}, {"of unusual letters", "ä\"'\\\n\t{}: #"}, {"another word", "other"},
		}
	case bool:
		return []extreme{{fmt.Sprint(!v), !v}}
	case int64, float64:
		return []extreme{{"0", int64(0)}, {"-1", int64(-1)}, {"3", int64(3)}, {"very large", int64(math.MaxInt32)}}
	case []any:
		extremes := []extreme{{"empty", []any{}}}
		if len(v) > 1 {
			reversed := slices.Clone(v)
			slices.Reverse(reversed)
			extremes = append(extremes, extreme{"reversed", reversed}, extreme{"shortened", slices.Clone(v[:1])})
		}
		if len(v) > 0 {
			extremes = append(extremes, extreme{"one longer", append(slices.Clone(v), v[0])})
		}
		return extremes
	case map[string]any:
		unknown := runtime.DeepCopyJSON(v)
		unknown["unknownField"] = "unknown"
		return []extreme{{"empty", map[string]any{}}, {"given an unknown field", unknown}}
	default:
		return nil
	}
}

// node is a field at a path, which leads through no list but as its last step.
type node struct {
	path   []string
	inList int // -1: it is no item of a list
	value  any
}

// nodesOf returns all fields, in an order that is always the same. What is in lists counts as part of these.
func nodesOf(value any, path []string) []node {
	nodes := []node{{slices.Clone(path), -1, value}}
	if object, ok := value.(map[string]any); ok {
		for _, name := range sortedKeys(object) {
			nodes = append(nodes, nodesOf(object[name], append(slices.Clone(path), name))...)
		}
	}
	return nodes
}

// leavesOf returns the fields that are neither objects nor lists, but for those that say which object it is.
func leavesOf(object map[string]any, path []string) (leaves []node) {
	for _, at := range nodesOf(object, path) {
		if len(at.path) == 0 || slices.Contains([]string{"apiVersion", "kind", "status"}, at.path[0]) {
			continue
		}
		if at.path[0] == "metadata" && (len(at.path) < 3 || at.path[1] != "labels" && at.path[1] != "annotations") {
			continue
		}
		switch at.value.(type) {
		case map[string]any, []any, nil:
		default:
			leaves = append(leaves, at)
		}
	}
	return leaves
}

func set(content map[string]any, path []string, value any) {
	_ = unstructured.SetNestedField(content, runtime.DeepCopyJSONValue(value), path...) // the path was found there
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func pathText(path []string) string { return strings.Join(path, ".") }
