package meter

import (
	"fmt"
	"unicode/utf8"
)

// reader reads the binary format. What it finds wrong it panics with, as a *FormatError.
type reader struct {
	data []byte
	pos  int
	base int // the offset of data in the module
}

func (r *reader) fail(format string, args ...any) {
	panic(&FormatError{r.base + r.pos, fmt.Sprintf(format, args...)})
}

func (r *reader) done() bool { return r.pos == len(r.data) }

func (r *reader) byte() byte {
	if r.pos >= len(r.data) {
		r.fail("unexpected end")
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.data)-r.pos {
		r.fail("unexpected end: %d bytes wanted, %d left", n, len(r.data)-r.pos)
	}
	r.pos += n
	return r.data[r.pos-n : r.pos]
}

func (r *reader) skip(n int) { r.bytes(n) }

// sub returns a reader of the next n bytes.
func (r *reader) sub(n int) *reader {
	start := r.base + r.pos
	return &reader{data: r.bytes(n), base: start}
}

// end fails unless all is read.
func (r *reader) end(what string) {
	if !r.done() {
		r.fail("%d bytes too many in %s", len(r.data)-r.pos, what)
	}
}

// u32 reads an unsigned LEB128 number. Longer encodings than the specification allows are refused, since writing them
// anew would make an invalid module valid.
func (r *reader) u32() uint32 {
	if r.pos < len(r.data) && r.data[r.pos] < 0x80 { // most are short
		r.pos++
		return uint32(r.data[r.pos-1])
	}
	var n uint32
	for shift := uint(0); ; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			r.fail("number too large")
		}
		n |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count(what string) int {
	n := r.u32()
	if int64(n) > int64(len(r.data)-r.pos) {
		r.fail("%d %s do not fit into what is left", n, what)
	}
	return int(n)
}

// index reads an index and fails unless it is below limit.
func (r *reader) index(what string, limit int) uint32 {
	at := r.pos
	n := r.u32()
	if int64(n) >= int64(limit) {
		r.pos = at
		r.fail("%s %d does not exist: there are %d", what, n, limit)
	}
	return n
}

// signed reads a signed LEB128 number of so many bits: 32, 33 or 64.
func (r *reader) signed(bits uint) int64 {
	var n int64
	for shift := uint(0); ; {
		b := r.byte()
		if left := bits - shift; left < 7 {
			// Of the last possible byte, the bits beyond the number must repeat its sign.
			if rest := int8(b<<1) >> left; b >= 0x80 || rest != 0 && rest != -1 {
				r.fail("number too large")
			}
		}
		n |= int64(b&0x7f) << shift
		shift += 7
		if b < 0x80 {
			if shift < 64 && b&0x40 != 0 {
				n |= -1 << shift
			}
			return n
		}
	}
}

func (r *reader) name() string {
	at := r.pos
	name := r.bytes(r.count("bytes of a name"))
	if !utf8.Valid(name) {
		r.pos = at
		r.fail("a name is not UTF-8")
	}
	return string(name)
}
