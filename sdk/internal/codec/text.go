package codec

import (
	"encoding/json"
	"math/bits"
	"runtime"
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
	n, d.pos, ok = Whole(d.text, d.pos)
	return n, ok
}

// Whole reads a whole number that is written as such, and begins at an index of text, and returns the index after it.
func Whole(text string, start int) (n int64, end int, ok bool) {
	digits := start
	if text[start] == '-' {
		digits++
	}
	end = digits
	for ; end < len(text) && '0' <= text[end] && text[end] <= '9'; end++ {
		n = n*10 + int64(text[end]-'0')
	}
	length := end - digits
	if length == 0 || length > 1 && text[digits] == '0' || end < len(text) && strings.IndexByte("+-.eE", text[end]) >= 0 {
		return 0, end, false
	}
	if length > 18 { // it may be out of range
		n, err := strconv.ParseInt(text[start:end], 10, 64)
		return n, end, err == nil
	}
	if digits > start {
		n = -n
	}
	return n, end, true
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
	end := PlainEnd(d.text, start)
	if end == len(d.text) || d.text[end] != '"' {
		return d.unusual(start, end)
	}
	d.pos = end + 1
	return d.text[start:end], true
}

// Words of eight bytes, each the same, for looking at eight bytes of a text at a time.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
	low  = 0x7f * ones
)

// bigEndian is true where the first byte of a word is its highest. A constant costs nothing where it is not.
const bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" || runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"

// wordAt returns the eight bytes of text from an index on, the first one the lowest.
func wordAt(text string, i int) uint64 {
	word := *(*uint64)(unsafe.Pointer(unsafe.StringData(text[i : i+8])))
	if bigEndian {
		word = bits.ReverseBytes64(word)
	}
	return word
}

// zeros returns a word that has the highest bit of each byte that is zero in x, and no other.
func zeros(x uint64) uint64 { return ^(x&low + low | x | low) }

// firstByte returns the index of the first byte that has a bit in a word, which has one.
func firstByte(word uint64) int { return bits.TrailingZeros64(word) / 8 }

// PlainEnd returns the index of the first byte of text, from an index on, that does not stand for itself in a JSON string or
// is not ASCII; the text's length if there is none.
func PlainEnd(text string, from int) int {
	i := from
	for ; i+8 <= len(text); i += 8 {
		word := wordAt(text, i)
		quote, backslash := word^'"'*ones, word^'\\'*ones
		// A borrow reaches only into bytes after one that is looked for.
		if found := (word | (word - ' '*ones) | (quote-ones)&^quote | (backslash-ones)&^backslash) & high; found != 0 {
			return i + firstByte(found)
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
	d.unusuals = true
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
		return d.skipTo(StringEnd(d.text, d.pos+1))
	case '{', '[':
		return d.skipTo(NestedEnd(d.text, d.pos, maxDepth))
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

// skipTo moves to an index, unless it is -1.
func (d *decoder) skipTo(end int) bool {
	d.pos = max(d.pos, end)
	return end >= 0
}

// NestedEnd returns the index after a list or an object that begins at an index of text; -1 if it does not end, or goes a few
// deeper than deepest. It looks at eight bytes at a time, and at nothing but brackets and strings.
func NestedEnd(text string, at, deepest int) int {
	i, depth := at+1, 1
	inString := uint64(0) // high if i is within one
	for i+8 <= len(text) && depth <= deepest {
		word := wordAt(text, i)
		quotes, backslashes := zeros(word^'"'*ones), zeros(word^'\\'*ones)
		looked := uint64(high)
		if backslashes != 0 { // look as far as the first one
			looked = backslashes&-backslashes - 1
			quotes &= looked
		}
		// The product has in each byte how many quotes there are up to there. Within a string that is an odd number.
		strings := quotes>>7*ones<<7&high ^ inString
		brackets := word | ' '*ones // which are the same as braces then
		opening, closing := zeros(brackets^'{'*ones)&looked&^strings, zeros(brackets^'}'*ones)&looked&^strings
		if closing != 0 && bits.OnesCount64(closing) >= depth {
			if last := lastClosing(opening, closing, depth); last >= 0 {
				return i + last + 1
			}
		}
		depth += bits.OnesCount64(opening) - bits.OnesCount64(closing)
		inString = uint64(int64(strings)>>63) & high
		if i += 8; backslashes != 0 { // go on after what it escapes
			i += firstByte(backslashes) + 1 + int(strings>>63) - 8
		}
	}
	if depth > deepest {
		return -1
	}
	return restEnd(text, i, depth, inString != 0)
}

// lastClosing returns where the bracket is that ends it all, given where brackets are in a word; -1 if it is not there.
func lastClosing(opening, closing uint64, depth int) int {
	for brackets := opening | closing; brackets != 0; brackets &= brackets - 1 {
		if opening&(brackets&-brackets) != 0 {
			depth++
		} else if depth--; depth == 0 {
			return firstByte(brackets)
		}
	}
	return -1
}

// restEnd is NestedEnd for what is not a whole word any more.
func restEnd(text string, i, depth int, inString bool) int {
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c|' ' == '{':
			depth++
		case c|' ' == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// StringEnd returns the index after the quote that ends a string, from an index within it on; -1 if there is none.
func StringEnd(text string, i int) int {
	for i+8 <= len(text) {
		word := wordAt(text, i)
		found := zeros(word^'"'*ones) | zeros(word^'\\'*ones)
		if found == 0 {
			i += 8
			continue
		}
		if i += firstByte(found); text[i] == '"' {
			return i + 1
		}
		i += 2
	}
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}
