package abi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// HostPrefix begins the labels, annotations and finalizers that are the host's own. A module must not set them.
const HostPrefix = "wasmloop.dev/"

// hostKey says why a key with HostPrefix is refused.
const hostKey = "keys under " + HostPrefix + " belong to the host"

// serverMetadata is the metadata that belongs to the API server or the host; a module must not return it in a child.
var serverMetadata = []string{
	"uid", "resourceVersion", "generation", "managedFields", "ownerReferences", "selfLink",
	"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
}

// DecodeResponse decodes a response strictly. Anything but a well-formed response is a *DecodeError that names the path
// to the fault, since half-understood responses are how children get lost. What depends on the reconciled object is
// checked by CheckChildren.
func DecodeResponse(data []byte) (*Response, error) {
	tree, err := parse(data)
	if err != nil {
		return nil, err
	}
	response := &Response{}
	if err := decodeResponse(tree, response); err != nil {
		return nil, err
	}
	return response, nil
}

func decodeResponse(tree any, r *Response) *DecodeError {
	return decodeObject("", tree, decoders{
		"children":     listOf(&r.Children, decodeChild),
		"keep":         listOf(&r.Keep, decodeReference),
		"status":       decodeStatus(&r.Status),
		"labels":       labels(&r.Labels),
		"annotations":  labels(&r.Annotations),
		"related":      listOf(&r.Related, decodeRelated),
		"requeueAfter": duration(&r.RequeueAfter),
		"finalized":    scalar(&r.Finalized),
		"events":       listOf(&r.Events, decodeEvent),
		"error":        decodeModuleError(&r.Error),
	})
}

// decoder stores the value found at path somewhere, or says what is wrong with it.
type decoder func(path string, value any) *DecodeError

// decoders are the known fields of an object.
type decoders map[string]decoder

// decodeObject gives each field of an object to its decoder. required fields must be there.
func decodeObject(path string, value any, known decoders, required ...string) *DecodeError {
	var object map[string]any
	if err := typed(path, value, &object); err != nil {
		return err
	}
	for _, name := range required {
		if _, ok := object[name]; !ok {
			return &DecodeError{join(path, name), "required"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		decode, ok := known[name]
		if !ok {
			return &DecodeError{join(path, keySegment(name)), "unknown field"}
		}
		if err := decode(join(path, name), object[name]); err != nil {
			return err
		}
	}
	return nil
}

// typed stores value in target if it has target's type.
func typed[T any](path string, value any, target *T) *DecodeError {
	v, ok := value.(T)
	if !ok {
		return &DecodeError{path, fmt.Sprintf("want %s, got %s", typeName(*target), typeName(value))}
	}
	*target = v
	return nil
}

// typeName names the JSON type of a decoded value.
func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}

func scalar[T string | bool](target *T) decoder {
	return func(path string, value any) *DecodeError { return typed(path, value, target) }
}

// text decodes a string that must not be empty.
func text(target *string) decoder {
	return func(path string, value any) *DecodeError {
		if err := typed(path, value, target); err != nil {
			return err
		}
		if *target == "" {
			return &DecodeError{path, "must not be empty"}
		}
		return nil
	}
}

// listOf decodes a list. What it stores is never nil, so that an empty list differs from an absent one.
func listOf[T any](target *[]T, decode func(path string, value any, target *T) *DecodeError) decoder {
	return func(path string, value any) *DecodeError {
		var list []any
		if err := typed(path, value, &list); err != nil {
			return err
		}
		*target = make([]T, len(list))
		for i, item := range list {
			if err := decode(path+indexSegment(i), item, &(*target)[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func mapOf[T any](target *map[string]T, decode func(path string, value any, target *T) *DecodeError) decoder {
	return func(path string, value any) *DecodeError {
		var object map[string]any
		if err := typed(path, value, &object); err != nil {
			return err
		}
		*target = make(map[string]T, len(object))
		for _, key := range slices.Sorted(maps.Keys(object)) {
			var item T
			if err := decode(join(path, keySegment(key)), object[key], &item); err != nil {
				return err
			}
			(*target)[key] = item
		}
		return nil
	}
}

func decodeText(path string, value any, target *string) *DecodeError {
	return text(target)(path, value)
}

func decodeString(path string, value any, target *string) *DecodeError {
	return typed(path, value, target)
}

// labels decodes the labels or annotations to set on the object itself: each a string, or null to remove it.
func labels(target *map[string]*string) decoder {
	return func(path string, value any) *DecodeError {
		if err := mapOf(target, decodeLabel)(path, value); err != nil {
			return err
		}
		return checkHostKeys(path, *target)
	}
}

func decodeLabel(path string, value any, target **string) *DecodeError {
	if value == nil {
		return nil
	}
	*target = new(string)
	return typed(path, value, *target)
}

// checkHostKeys refuses labels and annotations that are the host's own.
func checkHostKeys[V any](path string, values map[string]V) *DecodeError {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(key, HostPrefix) {
			return &DecodeError{join(path, keySegment(key)), hostKey}
		}
	}
	return nil
}

func decodeStatus(target *Object) decoder {
	return func(path string, value any) *DecodeError {
		return typed(path, value, (*map[string]any)(target))
	}
}

func duration(target *Duration) decoder {
	return func(path string, value any) *DecodeError {
		var s string
		if err := typed(path, value, &s); err != nil {
			return err
		}
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return &DecodeError{path, fmt.Sprintf("want a duration above zero like \"30s\", got %q", s)}
		}
		*target = Duration(d)
		return nil
	}
}

func decodeReference(path string, value any, r *Reference) *DecodeError {
	return decodeObject(path, value, decoders{
		"apiVersion": text(&r.APIVersion),
		"kind":       text(&r.Kind),
		"namespace":  scalar(&r.Namespace),
		"name":       text(&r.Name),
	}, "apiVersion", "kind", "name")
}

func decodeRelated(path string, value any, r *Related) *DecodeError {
	err := decodeObject(path, value, decoders{
		"apiVersion":    text(&r.APIVersion),
		"kind":          text(&r.Kind),
		"namespace":     scalar(&r.Namespace),
		"names":         listOf(&r.Names, decodeText),
		"labelSelector": decodeSelector(&r.LabelSelector),
	}, "apiVersion", "kind")
	if err == nil && r.Names != nil && r.LabelSelector != nil {
		return &DecodeError{path, "names and labelSelector exclude each other"}
	}
	return err
}

func decodeSelector(target **LabelSelector) decoder {
	return func(path string, value any) *DecodeError {
		*target = &LabelSelector{}
		return decodeObject(path, value, decoders{
			"matchLabels":      mapOf(&(*target).MatchLabels, decodeString),
			"matchExpressions": listOf(&(*target).MatchExpressions, decodeRequirement),
		})
	}
}

func decodeRequirement(path string, value any, r *LabelSelectorRequirement) *DecodeError {
	err := decodeObject(path, value, decoders{
		"key":      text(&r.Key),
		"operator": text(&r.Operator),
		"values":   listOf(&r.Values, decodeString),
	}, "key", "operator")
	if err != nil {
		return err
	}
	switch r.Operator {
	case "In", "NotIn":
		if len(r.Values) == 0 {
			return &DecodeError{join(path, "values"), r.Operator + " needs values"}
		}
	case "Exists", "DoesNotExist":
		if len(r.Values) > 0 {
			return &DecodeError{join(path, "values"), r.Operator + " takes no values"}
		}
	default:
		return &DecodeError{join(path, "operator"), fmt.Sprintf("want In, NotIn, Exists or DoesNotExist, got %q", r.Operator)}
	}
	return nil
}

func decodeEvent(path string, value any, e *Event) *DecodeError {
	err := decodeObject(path, value, decoders{
		"type":    text(&e.Type),
		"reason":  text(&e.Reason),
		"message": scalar(&e.Message),
	}, "type", "reason")
	if err == nil && e.Type != EventNormal && e.Type != EventWarning {
		return &DecodeError{path + ".type", fmt.Sprintf("want %s or %s, got %q", EventNormal, EventWarning, e.Type)}
	}
	return err
}

func decodeModuleError(target **Error) decoder {
	return func(path string, value any) *DecodeError {
		*target = &Error{}
		return decodeObject(path, value, decoders{
			"message":  text(&(*target).Message),
			"terminal": scalar(&(*target).Terminal),
		}, "message")
	}
}

func decodeChild(path string, value any, child *Object) *DecodeError {
	var object map[string]any
	if err := typed(path, value, &object); err != nil {
		return err
	}
	*child = object
	for _, name := range []string{"apiVersion", "kind"} {
		if err := requiredText(path, object, name); err != nil {
			return err
		}
	}
	path = join(path, "metadata")
	value, ok := object["metadata"]
	if !ok {
		return &DecodeError{path, "required"}
	}
	var metadata map[string]any
	if err := typed(path, value, &metadata); err != nil {
		return err
	}
	return checkMetadata(path, metadata)
}

func requiredText(path string, object map[string]any, name string) *DecodeError {
	value, ok := object[name]
	if !ok {
		return &DecodeError{join(path, name), "required"}
	}
	return text(new(string))(join(path, name), value)
}

// checkMetadata checks a child's metadata, and drops the null creationTimestamp that Go's types write.
func checkMetadata(path string, metadata map[string]any) *DecodeError {
	if _, generated := metadata["generateName"]; generated {
		return &DecodeError{join(path, "generateName"), "a child needs a name that is the same in every call"}
	}
	if err := requiredText(path, metadata, "name"); err != nil {
		return err
	}
	if namespace, ok := metadata["namespace"]; ok {
		if err := typed(join(path, "namespace"), namespace, new(string)); err != nil {
			return err
		}
	}
	if created, ok := metadata["creationTimestamp"]; ok && created == nil {
		delete(metadata, "creationTimestamp")
	}
	for _, name := range serverMetadata {
		if _, ok := metadata[name]; ok {
			return &DecodeError{join(path, name), "belongs to the API server or the host; return only the fields that the module wants to own"}
		}
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := checkLabels(join(path, field), metadata[field]); err != nil {
			return err
		}
	}
	return checkFinalizers(join(path, "finalizers"), metadata["finalizers"])
}

// checkFinalizers checks a child's finalizers. Null counts as absent.
func checkFinalizers(path string, value any) *DecodeError {
	if value == nil {
		return nil
	}
	var finalizers []string
	if err := listOf(&finalizers, decodeText)(path, value); err != nil {
		return err
	}
	for i, finalizer := range finalizers {
		if strings.HasPrefix(finalizer, HostPrefix) {
			return &DecodeError{path + indexSegment(i), hostKey}
		}
	}
	return nil
}

// checkLabels checks a child's labels or annotations. Null counts as absent, as everywhere within an object.
func checkLabels(path string, value any) *DecodeError {
	if value == nil {
		return nil
	}
	var values map[string]string
	if err := mapOf(&values, decodeString)(path, value); err != nil {
		return err
	}
	return checkHostKeys(path, values)
}

// CheckChildren checks what DecodeResponse cannot know: that no child is the reconciled object itself, and that none
// is there twice. A child without a namespace counts as one in the owner's.
func (r *Response) CheckChildren(owner Reference) error {
	first := make(map[Reference]int, len(r.Children))
	for i, child := range r.Children {
		key := child.identity(owner.Namespace)
		path := "children" + indexSegment(i)
		if key == identity(owner, owner.Namespace) {
			return &DecodeError{path, fmt.Sprintf("%s is the reconciled object itself", child.Reference())}
		}
		if j, twice := first[key]; twice {
			return &DecodeError{path, fmt.Sprintf("%s is there already as children[%d]", child.Reference(), j)}
		}
		first[key] = i
	}
	return nil
}

func (o Object) identity(namespace string) Reference { return identity(o.Reference(), namespace) }

// identity returns r without its version, since one object is served in several, and with its namespace.
func identity(r Reference, namespace string) Reference {
	if group, _, ok := strings.Cut(r.APIVersion, "/"); ok {
		r.APIVersion = group
	} else {
		r.APIVersion = ""
	}
	if r.Namespace == "" {
		r.Namespace = namespace
	}
	return r
}
