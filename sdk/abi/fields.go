package abi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// Fields calls visit with each field of a JSON object, in their order, without decoding the values. It is for documents
// that an encoder has written, such as those that a host gives a module: it finds where values end and no more, so that
// what is wrong within one is found when that one is decoded. A large document whose parts are decoded one by one is so
// read once rather than once for each level.
func Fields(object []byte, visit func(name string, value json.RawMessage) error) error {
	s := newSplitter(object)
	if s.next() != '{' {
		return s.errorf("want an object")
	}
	s.pos++
	for first := true; ; first = false {
		c := s.next()
		if c == '}' && first {
			break
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		value, err := s.value()
		if err != nil {
			return err
		}
		if err := visit(name, value); err != nil {
			return err
		}
		if c = s.next(); c == '}' {
			break
		}
		if c != ',' {
			return s.errorf("want ',' or '}'")
		}
		s.pos++
	}
	return s.end("object")
}

// Items calls visit with each item of a JSON list, in their order, as Fields does with the fields of an object.
func Items(list []byte, visit func(value json.RawMessage) error) error {
	s := newSplitter(list)
	if s.next() != '[' {
		return s.errorf("want a list")
	}
	s.pos++
	for first := true; ; first = false {
		c := s.next()
		if c == ']' && first {
			break
		}
		value, err := s.value()
		if err != nil {
			return err
		}
		if err := visit(value); err != nil {
			return err
		}
		if c = s.next(); c == ']' {
			break
		}
		if c != ',' {
			return s.errorf("want ',' or ']'")
		}
		s.pos++
	}
	return s.end("list")
}

// end checks that nothing comes after the closing bracket at the position.
func (s *splitter) end(what string) error {
	s.pos++
	if s.next(); s.pos < len(s.data) {
		return s.errorf("data after the " + what + "'s end")
	}
	return nil
}

// splitter finds the parts of a JSON document.
type splitter struct {
	data []byte
	text string // the same
	pos  int
}

func newSplitter(data []byte) splitter { return splitter{data: data, text: string(codec.Text(data))} }

func (s *splitter) errorf(message string) error {
	return fmt.Errorf("%s at offset %d", message, s.pos)
}

// next skips white space and returns the byte after it, 0 at the end.
func (s *splitter) next() byte {
	for ; s.pos < len(s.data); s.pos++ {
		if c := s.data[s.pos]; c > ' ' {
			return c
		}
	}
	return 0
}

// name reads a field's name and the colon after it.
func (s *splitter) name() (name string, err error) {
	if s.next() != '"' {
		return "", s.errorf("want a name")
	}
	start := s.pos
	if err := s.skipString(); err != nil {
		return "", err
	}
	quoted := s.data[start:s.pos]
	if s.next() != ':' {
		return "", s.errorf("want ':'")
	}
	s.pos++
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	return name, json.Unmarshal(quoted, &name)
}

// value returns the next value as it stands.
func (s *splitter) value() ([]byte, error) {
	c := s.next()
	start := s.pos
	switch c {
	case '"':
		err := s.skipString()
		return s.data[start:s.pos], err
	case '{', '[':
		err := s.skipNested()
		return s.data[start:s.pos], err
	}
	for s.pos < len(s.data) && bytes.IndexByte([]byte(",]} \t\r\n"), s.data[s.pos]) < 0 {
		s.pos++
	}
	if s.pos == start {
		return nil, s.errorf("want a value")
	}
	return s.data[start:s.pos], nil
}

// skipString moves past a string.
func (s *splitter) skipString() error {
	end := codec.StringEnd(s.text, s.pos+1)
	if end < 0 {
		s.pos = min(s.pos+1, len(s.data))
		return s.errorf("a string does not end")
	}
	s.pos = end
	return nil
}

// skipNested moves past an object or a list.
func (s *splitter) skipNested() error {
	end := codec.NestedEnd(s.text, s.pos, math.MaxInt)
	if end < 0 {
		s.pos = len(s.data)
		return s.errorf("unexpected end")
	}
	s.pos = end
	return nil
}
