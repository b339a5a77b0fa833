package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// ManagerPrefix is what the names of the host's field managers begin with.
const ManagerPrefix = "wasmloop/"

// Parse reads an object as an API server encodes it. kind is for the items of lists, which need not name it; an object's
// own goes before. Nothing of data is kept.
func Parse(data []byte, kind schema.GroupVersionKind) (*Object, error) {
	o := &Object{Kind: kind}
	p := parsers.Get().(*parser)
	defer p.release()
	p.object = o
	if err := abi.Fields(data, p.field); err != nil {
		return nil, fmt.Errorf("cannot decode an object of kind %s: %w", kind.Kind, err)
	}
	if p.apiVersion != "" && p.kind != "" && (p.kind != kind.Kind || p.apiVersion != kind.GroupVersion().String()) {
		o.Kind = schema.FromAPIVersionAndKind(p.apiVersion, p.kind)
	}
	o.JSON = p.encode()
	return o, nil
}

type field struct {
	name  string
	value json.RawMessage
}

// parser goes once over an object. What it keeps of it are spans of the data.
type parser struct {
	object           *Object
	apiVersion, kind string
	fields           []field // of the object, without metadata
	metadata         []field // as modules see it
	annotations      []field
	room             [3][16]field
	shown            []byte
}

// parsers are used again, since one is as large as many an object.
var parsers = sync.Pool{New: func() any { return &parser{} }}

// release forgets the object.
func (p *parser) release() {
	*p = parser{shown: p.shown[:0]}
	parsers.Put(p)
}

func (p *parser) field(name string, value json.RawMessage) (err error) {
	switch name {
	case "apiVersion":
		p.apiVersion, err = text(value)
	case "kind":
		p.kind, err = text(value)
	case "metadata":
		p.metadata = p.room[0][:0]
		err = abi.Fields(value, p.metadataField)
	default:
		if p.fields == nil {
			p.fields = p.room[1][:0]
		}
		p.fields = append(p.fields, field{name, value})
	}
	return err
}

func (p *parser) metadataField(name string, value json.RawMessage) (err error) {
	o := p.object
	switch name {
	case "managedFields":
		return p.managedFields(value)
	case "resourceVersion":
		o.ResourceVersion, err = text(value)
		return err
	case "annotations":
		p.annotations = p.room[2][:0]
		return p.ownAnnotations(value)
	case "name":
		o.Name, err = text(value)
	case "namespace":
		o.Namespace, err = text(value)
	case "uid":
		var uid string
		uid, err = text(value)
		o.UID = types.UID(uid)
	case "generation":
		err = json.Unmarshal(value, &o.Generation)
	case "deletionTimestamp":
		o.Deleting = string(value) != "null"
	case "finalizers":
		err = items(value, p.finalizer)
	case "ownerReferences":
		err = items(value, p.owner)
	}
	p.metadata = append(p.metadata, field{name, value})
	return err
}

// items visits the items of a list, of which null has none.
func items(list json.RawMessage, visit func(json.RawMessage) error) error {
	if string(list) == "null" {
		return nil
	}
	return abi.Items(list, func(item json.RawMessage) error {
		if string(item) == "null" {
			return nil
		}
		return visit(item)
	})
}

func (p *parser) finalizer(value json.RawMessage) error {
	name, err := text(value)
	p.object.Finalizers = append(p.object.Finalizers, name)
	return err
}

func (p *parser) owner(reference json.RawMessage) error {
	var owner Owner
	err := abi.Fields(reference, func(name string, value json.RawMessage) (err error) {
		switch name {
		case "apiVersion":
			owner.APIVersion, err = text(value)
		case "kind":
			owner.Kind, err = text(value)
		case "name":
			owner.Name, err = text(value)
		case "uid":
			var uid string
			uid, err = text(value)
			owner.UID = types.UID(uid)
		case "controller":
			err = json.Unmarshal(value, &owner.Controller)
		}
		return err
	})
	p.object.Owners = append(p.object.Owners, owner)
	return err
}

// ownAnnotations takes the host's own annotations out.
func (p *parser) ownAnnotations(value json.RawMessage) error {
	if string(value) == "null" {
		return nil
	}
	return abi.Fields(value, func(key string, value json.RawMessage) error {
		if !strings.HasPrefix(key, abi.HostPrefix) {
			p.annotations = append(p.annotations, field{key, value})
			return nil
		}
		content, err := text(value)
		p.object.marks = append(p.object.marks, mark{key, content})
		return err
	})
}

// managedFields keeps the host's own entries. There is none unless the text has the beginning of a manager's name.
func (p *parser) managedFields(value json.RawMessage) error {
	if !bytes.Contains(value, []byte(`"`+ManagerPrefix)) {
		return nil
	}
	return items(value, p.managedEntry)
}

func (p *parser) managedEntry(value json.RawMessage) error {
	var operation string
	var made entry
	err := abi.Fields(value, func(name string, value json.RawMessage) (err error) {
		switch name {
		case "manager":
			made.manager, err = text(value)
		case "operation":
			operation, err = text(value)
		case "subresource":
			made.subresource, err = text(value)
		case "fieldsV1":
			made.fields = value
		}
		return err
	})
	if strings.HasPrefix(made.manager, ManagerPrefix) && operation == "Apply" {
		made.fields = slices.Clone(made.fields)
		p.object.entries = append(p.object.entries, made)
	}
	return err
}

// encode writes the object as modules see it.
func (p *parser) encode() []byte {
	kind, shown := p.object.Kind, p.shown[:0]
	shown = abi.AppendString(append(shown, `{"apiVersion":`...), kind.GroupVersion().String())
	shown = abi.AppendString(append(shown, `,"kind":`...), kind.Kind)
	shown = append(shown, `,"metadata":{`...)
	for _, f := range p.metadata {
		shown = appendField(shown, f)
	}
	if len(p.annotations) > 0 {
		shown = append(comma(shown), `"annotations":{`...)
		for _, f := range p.annotations {
			shown = appendField(shown, f)
		}
		shown = append(shown, '}')
	}
	shown = append(shown, '}')
	for _, f := range p.fields {
		shown = appendField(shown, f)
	}
	shown = append(shown, '}')
	p.shown = shown
	return slices.Clip(slices.Clone(p.shown))
}

func appendField(dst []byte, f field) []byte {
	dst = abi.AppendString(comma(dst), f.name)
	return append(append(dst, ':'), f.value...)
}

// comma separates a field from the one before it.
func comma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

// text decodes a string.
func text(value json.RawMessage) (s string, err error) {
	if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : n-1]), nil
	}
	err = json.Unmarshal(value, &s)
	return s, err
}
