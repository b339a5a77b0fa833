package abi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// Fields calls visit with each field of a JSON object, in their order, without decoding the values. It is for documents
// that an encoder has written, such as those that a host gives a module: it finds where values end and no more, so that
// what is wrong within one is found when that one is decoded.
func Fields(object []byte, visit func(name string, value json.RawMessage) error) error {
	r := NewReader(object)
	err := r.Fields(func(name string) error {
		value, err := r.Value()
		if err != nil {
			return err
		}
		return visit(strings.Clone(name), value)
	})
	if err != nil {
		return err
	}
	return r.End()
}

// Items calls visit with each item of a JSON list, in their order, as Fields does with the fields of an object.
func Items(list []byte, visit func(value json.RawMessage) error) error {
	r := NewReader(list)
	err := r.Items(func() error {
		value, err := r.Value()
		if err != nil {
			return err
		}
		return visit(value)
	})
	if err != nil {
		return err
	}
	return r.End()
}

// Reader reads a JSON document that an encoder has written, once, however deep it goes into it: it finds where values end and no
// more, so that what is wrong within one that it is not asked about is not found.
type Reader struct {
	data []byte
	text string // the same
	pos  int
}

// NewReader returns a Reader of a document, which must not be changed as long as names and values are used that it has returned.
func NewReader(document []byte) *Reader {
	return &Reader{data: document, text: string(codec.Text(document))}
}

// Fields calls visit with the name of each field of the object that is next. visit may read the value, by whatever method; if it
// does not, that is passed over.
func (r *Reader) Fields(visit func(name string) error) error {
	if r.next() != '{' {
		return r.errorf("want an object")
	}
	r.pos++
	for first := true; ; first = false {
		if ended, err := r.separator('}', first); ended || err != nil {
			return err
		}
		name, err := r.name()
		if err != nil {
			return err
		}
		at := r.pos
		if err := r.pass(at, visit(name)); err != nil {
			return err
		}
	}
}

// Items calls visit at each item of the list that is next, as Fields does at each field.
func (r *Reader) Items(visit func() error) error {
	if r.next() != '[' {
		return r.errorf("want a list")
	}
	r.pos++
	for first := true; ; first = false {
		if ended, err := r.separator(']', first); ended || err != nil {
			return err
		}
		at := r.pos
		if err := r.pass(at, visit()); err != nil {
			return err
		}
	}
}

// separator moves past what follows a field or an item, and tells whether that was the last.
func (r *Reader) separator(closing byte, first bool) (ended bool, err error) {
	switch c := r.next(); {
	case c == closing:
		r.pos++
		return true, nil
	case first:
		return false, nil
	case c != ',':
		return false, r.errorf("want ',' or '" + string(closing) + "'")
	}
	r.pos++
	r.next()
	return false, nil
}

// pass moves past the value at an index, if whoever has visited it without an error has not read it.
func (r *Reader) pass(at int, err error) error {
	if err == nil && r.pos == at {
		_, err = r.Value()
	}
	return err
}

// Value returns the next value as it stands.
func (r *Reader) Value() (json.RawMessage, error) {
	c := r.next()
	start := r.pos
	switch c {
	case '"':
		err := r.skipString()
		return r.data[start:r.pos], err
	case '{', '[':
		end := codec.NestedEnd(r.text, r.pos, math.MaxInt)
		if end < 0 {
			r.pos = len(r.data)
			return nil, r.errorf("unexpected end")
		}
		r.pos = end
		return r.data[start:end], nil
	}
	for r.pos < len(r.data) && bytes.IndexByte([]byte(",]} \t\r\n"), r.data[r.pos]) < 0 {
		r.pos++
	}
	if r.pos == start {
		return nil, r.errorf("want a value")
	}
	return r.data[start:r.pos], nil
}

// Null moves past the next value if that is null, and tells whether it was.
func (r *Reader) Null() bool {
	if r.next() != 'n' || !strings.HasPrefix(r.text[r.pos:], "null") {
		return false
	}
	r.pos += len("null")
	return true
}

// End checks that nothing follows.
func (r *Reader) End() error {
	if r.next(); r.pos < len(r.data) {
		return r.errorf("data after the document's end")
	}
	return nil
}

func (r *Reader) errorf(message string) error {
	return fmt.Errorf("%s at offset %d", message, r.pos)
}

// next skips white space and returns the byte after it, 0 at the end.
func (r *Reader) next() byte {
	for ; r.pos < len(r.data); r.pos++ {
		if c := r.data[r.pos]; c > ' ' {
			return c
		}
	}
	return 0
}

// name reads a field's name and the colon after it.
func (r *Reader) name() (name string, err error) {
	if r.next() != '"' {
		return "", r.errorf("want a name")
	}
	start := r.pos
	if err := r.skipString(); err != nil {
		return "", err
	}
	quoted := r.text[start:r.pos]
	if r.next() != ':' {
		return "", r.errorf("want ':'")
	}
	r.pos++
	r.next()
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	return unquoted(quoted)
}

// unquoted decodes a string that has escapes.
func unquoted(quoted string) (s string, err error) {
	err = json.Unmarshal([]byte(quoted), &s)
	return s, err
}

// skipString moves past a string.
func (r *Reader) skipString() error {
	end := codec.StringEnd(r.text, r.pos+1)
	if end < 0 {
		return r.errorf("a string does not end")
	}
	r.pos = end
	return nil
}
