package codec

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// next skips white space and returns the byte after it, 0 at the end.
func (d *decoder) next() byte {
	for ; d.pos < len(d.text); d.pos++ {
		if c := d.text[d.pos]; c > ' ' {
			return c
		}
	}
	return 0
}

func (d *decoder) bool() bool { return d.literal("true") || d.literal("false") }

func (d *decoder) literal(literal string) bool {
	if !strings.HasPrefix(d.text[d.pos:], literal) {
		return false
	}
	d.pos += len(literal)
	return true
}

// whole reads a whole number that is written as such.
func (d *decoder) whole() (n int64, ok bool) {
	start := d.pos
	negative := d.text[d.pos] == '-'
	if negative {
		d.pos++
	}
	digits := d.pos
	for ; d.pos < len(d.text) && '0' <= d.text[d.pos] && d.text[d.pos] <= '9'; d.pos++ {
		n = n*10 + int64(d.text[d.pos]-'0')
	}
	length := d.pos - digits
	if length == 0 || length > 1 && d.text[digits] == '0' || d.pos < len(d.text) && strings.IndexByte(".eE", d.text[d.pos]) >= 0 {
		return 0, false
	}
	if length > 18 { // it may be out of range
		var err error
		n, err = strconv.ParseInt(d.text[start:d.pos], 10, 64)
		return n, err == nil
	}
	if negative {
		n = -n
	}
	return n, true
}

// number reads a number.
func (d *decoder) number() (n float64, ok bool) {
	start := d.pos
	if n, ok := d.whole(); ok && -1<<53 < n && n < 1<<53 && (n != 0 || d.text[start] != '-') {
		return float64(n), true
	}
	d.pos = start
	for d.pos < len(d.text) && strings.IndexByte("+-.0123456789eE", d.text[d.pos]) >= 0 {
		d.pos++
	}
	text := d.text[start:d.pos]
	if !json.Valid([]byte(text)) {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// string reads a string.
func (d *decoder) string() (s string, ok bool) {
	if d.next() != '"' {
		return "", false
	}
	start := d.pos + 1
	end := plainEnd(d.text, start)
	if end == len(d.text) || d.text[end] != '"' {
		return d.unusual(start, end)
	}
	d.pos = end + 1
	return d.text[start:end], true
}

// bigEndian is true if the first byte of a word is its highest.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// plainEnd returns the index of the first byte of text, from an index on, that does not stand for itself in a JSON string or
// is not ASCII; the text's length if there is none. It looks at words of eight bytes.
func plainEnd(text string, from int) int {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	i := from
	for ; i+8 <= len(text); i += 8 {
		word := *(*uint64)(unsafe.Pointer(unsafe.StringData(text[i:])))
		if bigEndian {
			word = bits.ReverseBytes64(word)
		}
		quote, backslash := word^'"'*ones, word^'\\'*ones
		// A borrow reaches only into bytes after one that is looked for.
		if found := (word | (word - ' '*ones) | (quote-ones)&^quote | (backslash-ones)&^backslash) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// unusual reads a string that begins at start and is as it stands until it gets to an escape or a rune that is not ASCII.
func (d *decoder) unusual(start, at int) (s string, ok bool) {
	d.pos = start - 1
	quoted, ok := d.raw()
	if !ok {
		return "", false
	}
	end := len(quoted) - 1
	text := append(make([]byte, 0, end), quoted[1:at-start+1]...)
	for i := at - start + 1; i < end; i++ {
		c := quoted[i]
		if c < ' ' {
			return "", false
		}
		if c != '\\' {
			text = append(text, c)
			continue
		}
		i++
		if plain := strings.IndexByte(`"\/bfnrt`, quoted[i]); plain >= 0 {
			text = append(text, "\"\\/\b\f\n\r\t"[plain])
			continue
		}
		r, err := strconv.ParseUint(quoted[i+1:min(i+5, end)], 16, 16)
		if quoted[i] != 'u' || end < i+5 || err != nil || utf16.IsSurrogate(rune(r)) {
			return "", false
		}
		text = utf8.AppendRune(text, rune(r))
		i += 4
	}
	if !utf8.Valid(text) {
		return "", false
	}
	return unsafe.String(unsafe.SliceData(text), len(text)), true
}

// raw reads a value as it stands.
func (d *decoder) raw() (raw string, ok bool) {
	d.next()
	start := d.pos
	ok = d.skip()
	return d.text[start:d.pos], ok
}

// skip moves past a value.
func (d *decoder) skip() bool {
	switch d.next() {
	case '"':
		return d.skipString()
	case '{', '[':
		return d.skipNested()
	}
	start := d.pos
	for d.pos < len(d.text) {
		if c := d.text[d.pos]; c == ',' || c == '}' || c == ']' || c <= ' ' {
			break
		}
		d.pos++
	}
	return d.pos > start
}

func (d *decoder) skipNested() bool {
	for depth := 0; d.pos < len(d.text); {
		c := d.text[d.pos]
		if c == '"' {
			if !d.skipString() {
				return false
			}
			continue
		}
		d.pos++
		switch c | ' ' { // brackets and braces are the same then
		case '{':
			if depth++; depth > maxDepth {
				return false
			}
		case '}':
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}

func (d *decoder) skipString() bool {
	for i := d.pos + 1; ; {
		i = plainEnd(d.text, i)
		if i == len(d.text) {
			return false
		}
		switch d.text[i] {
		case '"':
			d.pos = i + 1
			return true
		case '\\':
			i++
		}
		i++
		if i >= len(d.text) {
			return false
		}
	}
}
