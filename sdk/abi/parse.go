package abi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// maxDepth bounds how deep a document may nest. The deepest object that the API server takes (a CRD with its schema)
// stays far below.
const maxDepth = 1000

// DecodeError says what is wrong with a document, and where.
type DecodeError struct {
	// Path leads to the offending value: children[1].metadata.name. Empty: the document itself.
	Path string
	// Message says what is wrong there.
	Message string
}

// Error returns the path and the message.
func (e *DecodeError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// within returns e with its path below segment.
func (e *DecodeError) within(segment string) *DecodeError {
	path := e.Path
	if path != "" && path[0] != '[' {
		path = "." + path
	}
	return &DecodeError{Path: segment + path, Message: e.Message}
}

// keySegment writes an object's key as part of a path.
func keySegment(key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\" /") {
		return "[" + strconv.Quote(key) + "]"
	}
	return key
}

func indexSegment(i int) string { return "[" + strconv.Itoa(i) + "]" }

// join appends a segment to a path.
func join(path, segment string) string {
	if path == "" || segment[0] == '[' {
		return path + segment
	}
	return path + "." + segment
}

// Parse decodes one JSON document as strictly as a response. Whole numbers become int64 if they fit, others float64.
func Parse(data []byte) (any, error) {
	value, err := parse(data)
	if err != nil {
		return nil, err
	}
	return value, nil
}

// parse reads one JSON document, more strictly than encoding/json: a duplicate key, invalid UTF-8, half of a surrogate
// pair, a number out of range and anything after the document's end are errors. Whole numbers, however they are
// written, become int64 if they fit, others float64; so what was parsed encodes to what parses to the same.
func parse(data []byte) (any, *DecodeError) {
	if !utf8.Valid(data) {
		return nil, &DecodeError{Message: "not valid UTF-8"}
	}
	p := &parser{data: string(data)}
	value, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(data) {
		return nil, p.errorf("data after the document's end")
	}
	return value, nil
}

// parser reads a document. The strings that it returns are parts of it.
type parser struct {
	data string
	pos  int
}

func (p *parser) errorf(format string, args ...any) *DecodeError {
	return &DecodeError{Message: fmt.Sprintf(format, args...) + " at offset " + strconv.Itoa(p.pos)}
}

// space skips white space and returns the next byte, 0 at the end.
func (p *parser) space() byte {
	for ; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) value(depth int) (any, *DecodeError) {
	switch c := p.space(); {
	case depth > maxDepth:
		return nil, p.errorf("nested deeper than %d", maxDepth)
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		return p.string()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case p.pos == len(p.data):
		return nil, p.errorf("unexpected end")
	default:
		return p.literal()
	}
}

func (p *parser) object(depth int) (any, *DecodeError) {
	p.pos++ // {
	object := make(map[string]any)
	if p.space() == '}' {
		p.pos++
		return object, nil
	}
	for {
		if p.space() != '"' {
			return nil, p.errorf("want a key")
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.space() != ':' {
			return nil, p.errorf("want ':' after key %q", key)
		}
		p.pos++
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err.within(keySegment(key))
		}
		before := len(object)
		if object[key] = value; len(object) == before {
			return nil, (&DecodeError{Message: "duplicate key"}).within(keySegment(key))
		}
		more, err := p.separator('}')
		if !more {
			return object, err
		}
	}
}

func (p *parser) list(depth int) (any, *DecodeError) {
	p.pos++ // [
	if p.space() == ']' {
		p.pos++
		return []any{}, nil
	}
	list := make([]any, 0, 2)
	for {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err.within(indexSegment(len(list)))
		}
		list = append(list, value)
		more, err := p.separator(']')
		if !more {
			return list, err
		}
	}
}

// separator consumes a comma (more is true) or the closing byte.
func (p *parser) separator(closing byte) (more bool, err *DecodeError) {
	c := p.space()
	if c != ',' && c != closing {
		return false, p.errorf("want ',' or '%c'", closing)
	}
	p.pos++
	return c == ',', nil
}

func (p *parser) string() (string, *DecodeError) {
	start, escaped := p.pos, false
	for p.pos = codec.PlainEnd(p.data, p.pos+1); p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '\\':
			escaped = true
			p.pos++
		case c < 0x20:
			return "", p.errorf("control character in a string")
		case c == '"':
			p.pos++
			if escaped {
				return p.unquote(p.data[start:p.pos])
			}
			return p.data[start+1 : p.pos-1], nil
		}
	}
	p.pos = len(p.data)
	return "", p.errorf("a string does not end")
}

// unquote decodes a string that has escapes.
func (p *parser) unquote(quoted string) (s string, err *DecodeError) {
	if json.Unmarshal([]byte(quoted), &s) != nil {
		return "", p.errorf("a string with a bad escape ends")
	}
	if strings.ContainsRune(s, utf8.RuneError) && loneSurrogate(quoted) {
		return "", p.errorf("a string with half of a surrogate pair ends")
	}
	return s, nil
}

// loneSurrogate tells whether the valid JSON string has an escape that is half of a surrogate pair. encoding/json would
// silently replace it.
func loneSurrogate(quoted string) bool {
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		high := escapedRune(quoted[i:])
		i++ // an escaped backslash begins no escape
		if !utf16.IsSurrogate(high) {
			continue
		}
		if utf16.DecodeRune(high, escapedRune(quoted[i+5:])) == utf8.RuneError {
			return true
		}
		i += 10 // the rest of both escapes
	}
	return false
}

// escapedRune returns the rune of the \u escape that text begins with, or -1.
func escapedRune(text string) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	r, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(r)
}

func (p *parser) number() (any, *DecodeError) {
	start := p.pos
	if n, end, ok := codec.Whole(p.data, start); ok {
		p.pos = end
		return n, nil
	}
	for p.pos < len(p.data) && strings.IndexByte("+-.0123456789eE", p.data[p.pos]) >= 0 {
		p.pos++
	}
	text := p.data[start:p.pos]
	if !json.Valid([]byte(text)) {
		return nil, p.errorf("bad number %q", text)
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.errorf("number %q is out of range", text)
	}
	if number == math.Trunc(number) && -1<<63 <= number && number < 1<<63 {
		return int64(number), nil
	}
	return number, nil
}

func (p *parser) literal() (any, *DecodeError) {
	switch rest := p.data[p.pos:]; {
	case strings.HasPrefix(rest, "true"):
		p.pos += len("true")
		return true, nil
	case strings.HasPrefix(rest, "false"):
		p.pos += len("false")
		return false, nil
	case strings.HasPrefix(rest, "null"):
		p.pos += len("null")
		return nil, nil
	}
	return nil, p.errorf("unexpected character %q", p.data[p.pos])
}
