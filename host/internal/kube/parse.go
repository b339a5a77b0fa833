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
	p.object, p.reader = o, abi.NewReader(data)
	if err := p.read(); err != nil {
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
	reader           *abi.Reader
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

func (p *parser) read() error {
	if err := p.reader.Fields(p.field); err != nil {
		return err
	}
	return p.reader.End()
}

func (p *parser) field(name string) (err error) {
	switch name {
	case "apiVersion":
		p.apiVersion, err = readText(p.reader)
	case "kind":
		p.kind, err = readText(p.reader)
	case "metadata":
		p.metadata = p.room[0][:0]
		return p.reader.Fields(p.metadataField)
	default:
		if p.fields == nil {
			p.fields = p.room[1][:0]
		}
		p.fields, err = p.keep(p.fields, name)
	}
	return err
}

// keep reads a value, and keeps it among others.
func (p *parser) keep(fields []field, name string) ([]field, error) {
	value, err := p.reader.Value()
	return append(fields, field{name, value}), err
}

func (p *parser) metadataField(name string) (err error) {
	switch name {
	case "managedFields":
		value, err := p.reader.Value()
		if err != nil || !bytes.Contains(value, []byte(`"`+ManagerPrefix)) {
			return err // there is none of the host's own
		}
		return items(abi.NewReader(value), p.managedEntry)
	case "resourceVersion":
		p.object.ResourceVersion, err = readText(p.reader)
		return err
	case "annotations":
		p.annotations = p.room[2][:0]
		if p.reader.Null() {
			return nil
		}
		return p.reader.Fields(p.annotation)
	}
	if p.metadata, err = p.keep(p.metadata, name); err != nil {
		return err
	}
	return p.look(name, p.metadata[len(p.metadata)-1].value)
}

// look decodes a field of the metadata that the host reads, too.
func (p *parser) look(name string, value json.RawMessage) (err error) {
	o := p.object
	switch name {
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
		return items(abi.NewReader(value), p.finalizer)
	case "ownerReferences":
		return items(abi.NewReader(value), p.owner)
	}
	return err
}

// items visits the items of a list, of which null has none.
func items(r *abi.Reader, visit func(*abi.Reader) error) error {
	if r.Null() {
		return nil
	}
	return r.Items(func() error {
		if r.Null() {
			return nil
		}
		return visit(r)
	})
}

func (p *parser) finalizer(r *abi.Reader) error {
	name, err := readText(r)
	p.object.Finalizers = append(p.object.Finalizers, name)
	return err
}

func (p *parser) owner(r *abi.Reader) error {
	var owner Owner
	err := r.Fields(func(name string) (err error) {
		switch name {
		case "apiVersion":
			owner.APIVersion, err = readText(r)
		case "kind":
			owner.Kind, err = readText(r)
		case "name":
			owner.Name, err = readText(r)
		case "uid":
			var uid string
			uid, err = readText(r)
			owner.UID = types.UID(uid)
		case "controller":
			var value json.RawMessage
			if value, err = r.Value(); err == nil {
				err = json.Unmarshal(value, &owner.Controller)
			}
		}
		return err
	})
	p.object.Owners = append(p.object.Owners, owner)
	return err
}

// annotation takes the host's own annotations out.
func (p *parser) annotation(key string) (err error) {
	if !strings.HasPrefix(key, abi.HostPrefix) {
		p.annotations, err = p.keep(p.annotations, key)
		return err
	}
	content, err := readText(p.reader)
	p.object.marks = append(p.object.marks, mark{strings.Clone(key), content})
	return err
}

// managedEntry keeps the host's own entries of managedFields.
func (p *parser) managedEntry(r *abi.Reader) error {
	var operation string
	var made entry
	err := r.Fields(func(name string) (err error) {
		switch name {
		case "manager":
			made.manager, err = readText(r)
		case "operation":
			operation, err = readText(r)
		case "subresource":
			made.subresource, err = readText(r)
		case "fieldsV1":
			made.fields, err = r.Value()
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

// readText reads a string.
func readText(r *abi.Reader) (string, error) {
	value, err := r.Value()
	if err != nil {
		return "", err
	}
	return text(value)
}

// text decodes a string.
func text(value json.RawMessage) (string, error) {
	if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : n-1]), nil
	}
	return unusualText(value)
}

// unusualText decodes a string that has escapes, or what is none.
func unusualText(value json.RawMessage) (s string, err error) {
	err = json.Unmarshal(value, &s)
	return s, err
}
