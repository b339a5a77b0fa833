package meter

import (
	"encoding/binary"
	"math"
	"testing"
)

// attempt returns what read reads, and whether it did.
func attempt[T any](data string, read func(r *reader) T) (got T, ok bool) {
	defer func() {
		if fault := recover(); fault != nil {
			_ = fault.(*FormatError) // anything else is a defect
		}
	}()
	r := &reader{data: []byte(data)}
	got = read(r)
	r.end("a number")
	return got, true
}

func TestUnsignedNumbers(t *testing.T) {
	cases := map[string]struct {
		data string
		want uint32
		ok   bool
	}{
		"zero":                             {"\x00", 0, true},
		"the largest of one byte":          {"\x7f", 127, true},
		"the smallest of two":              {"\x80\x01", 128, true},
		"padded":                           {"\x81\x80\x80\x80\x00", 1, true},
		"the largest":                      {"\xff\xff\xff\xff\x0f", math.MaxUint32, true},
		"a bit too many":                   {"\xff\xff\xff\xff\x1f", 0, false},
		"padded with a byte too many":      {"\x81\x80\x80\x80\x80\x00", 0, false},
		"unused bits that are set":         {"\x80\x80\x80\x80\x10", 0, false},
		"nothing":                          {"", 0, false},
		"unfinished":                       {"\x80", 0, false},
		"unfinished after the last byte":   {"\xff\xff\xff\xff\x8f", 0, false},
		"more bytes than the number takes": {"\x00\x00", 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := attempt(c.data, (*reader).u32)
			if ok != c.ok || ok && got != c.want {
				t.Errorf("%d, %t, want %d, %t", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestSignedNumbers(t *testing.T) {
	cases := map[string]struct {
		bits uint
		data string
		want int64
		ok   bool
	}{
		"zero":                            {32, "\x00", 0, true},
		"minus one":                       {32, "\x7f", -1, true},
		"63 of one byte":                  {32, "\x3f", 63, true},
		"64 of two":                       {32, "\xc0\x00", 64, true},
		"-64 of one byte":                 {32, "\x40", -64, true},
		"minus one, padded":               {32, "\xff\xff\xff\xff\x7f", -1, true},
		"zero, padded":                    {32, "\x80\x80\x80\x80\x00", 0, true},
		"the largest of 32 bits":          {32, "\xff\xff\xff\xff\x07", math.MaxInt32, true},
		"the smallest of 32 bits":         {32, "\x80\x80\x80\x80\x78", math.MinInt32, true},
		"one more than 32 bits":           {32, "\x80\x80\x80\x80\x08", 0, false},
		"sign bits that differ, 32 bits":  {32, "\xff\xff\xff\xff\x4f", 0, false},
		"sign bits of another sign, 32":   {32, "\xff\xff\xff\xff\x77", 0, false},
		"six bytes of 32 bits":            {32, "\x80\x80\x80\x80\x80\x00", 0, false},
		"the largest of 33 bits":          {33, "\xff\xff\xff\xff\x0f", math.MaxUint32, true},
		"the smallest of 33 bits":         {33, "\x80\x80\x80\x80\x70", -1 << 32, true},
		"one more than 33 bits":           {33, "\x80\x80\x80\x80\x10", 0, false},
		"a bit too many, 33":              {33, "\xff\xff\xff\xff\x1f", 0, false},
		"the largest of 64 bits":          {64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", math.MaxInt64, true},
		"the smallest of 64 bits":         {64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", math.MinInt64, true},
		"minus one, padded to 64 bits":    {64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", -1, true},
		"one more than 64 bits":           {64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 0, false},
		"sign bits that differ, 64":       {64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7e", 0, false},
		"eleven bytes":                    {64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 0, false},
		"unfinished":                      {64, "\xff", 0, false},
		"unfinished after the last of 32": {32, "\xff\xff\xff\xff\xff", 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := attempt(c.data, func(r *reader) int64 { return r.signed(c.bits) })
			if ok != c.ok || ok && got != c.want {
				t.Errorf("%d, %t, want %d, %t", got, ok, c.want, c.ok)
			}
		})
	}
}

// What the writer writes the reader reads.
func TestNumbersSurvive(t *testing.T) {
	for _, n := range []uint32{0, 1, 63, 64, 127, 128, 8191, 8192, 1 << 20, math.MaxInt32, math.MaxUint32} {
		if got, ok := attempt(string(appendU32(nil, n)), (*reader).u32); !ok || got != n {
			t.Errorf("unsigned %d is read as %d, %t", n, got, ok)
		}
		if got, ok := attempt(string(appendSigned(nil, n)), func(r *reader) int64 { return r.signed(64) }); !ok || got != int64(n) {
			t.Errorf("signed %d is read as %d, %t", n, got, ok)
		}
		var cost [costWidth]byte
		putCost(cost[:], uint64(n))
		if got, ok := attempt(string(cost[:]), func(r *reader) int64 { return r.signed(64) }); !ok || got != int64(n) {
			t.Errorf("cost %d is read as %d, %t", n, got, ok)
		}
	}
	for _, n := range []int64{0, -1, 1, math.MinInt64, math.MaxInt64} {
		data := string(binary.AppendVarint(nil, n)) // another encoding: it must not be taken for ours
		if _, ok := attempt(data, func(r *reader) int64 { return r.signed(64) }); !ok && len(data) < 10 {
			t.Errorf("%x cannot be read", data)
		}
	}
}
