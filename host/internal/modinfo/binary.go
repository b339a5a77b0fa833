package modinfo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// FormatError says that bytes are no core WebAssembly module.
type FormatError struct {
	// Reason says what they are instead, or what is wrong with them.
	Reason string
	// Advice says what to do about it.
	Advice string
}

// Error returns the reason and the advice.
func (e *FormatError) Error() string { return e.Reason + ": " + e.Advice }

// The ids of the sections that this package looks into.
const (
	customSection = 0
	memorySection = 5
)

const pageSize = 64 << 10 // bytes

// magic begins every binary of WebAssembly: modules, which have version 1, and components.
var (
	magic     = []byte("\x00asm")
	preamble  = []byte("\x00asm\x01\x00\x00\x00")
	component = []byte("\x00asm\x0d\x00\x01\x00")
)

// section is a section of a module.
type section struct {
	id   byte
	raw  []byte // with its header
	body []byte
}

// custom returns the name and the content of a custom section.
func (s section) custom() (name string, content []byte, ok bool) {
	length, rest, ok := number(s.body)
	if s.id != customSection || !ok || length > uint64(len(rest)) {
		return "", nil, false
	}
	return string(rest[:length]), rest[length:], true
}

// Check says whether bytes are a core WebAssembly module, as far as can be seen without compiling them. The error is of type
// *FormatError.
func Check(wasm []byte) error {
	_, err := split(wasm)
	return err
}

// Memory returns the size that a module's memory starts with, in bytes: 0 if it has none. Check has found no fault in wasm.
func Memory(wasm []byte) uint64 {
	sections, _ := split(wasm)
	for _, s := range sections {
		if s.id != memorySection {
			continue
		}
		if count, rest, ok := number(s.body); ok && count > 0 && len(rest) > 1 {
			pages, _, _ := number(rest[1:]) // after the flags
			return pages * pageSize
		}
	}
	return 0
}

// split finds a module's sections.
func split(wasm []byte) (sections []section, err error) {
	if err := sniff(wasm); err != nil {
		return nil, err
	}
	for rest := wasm[len(preamble):]; len(rest) > 0; {
		size, body, ok := number(rest[1:])
		if !ok || size > uint64(len(body)) {
			return nil, &FormatError{
				fmt.Sprintf("it is a WebAssembly module that is cut off or damaged: its section at offset %#x does not end within it", len(wasm)-len(rest)),
				"copy it, download it or build it anew",
			}
		}
		header := len(rest) - len(body)
		end := header + int(size)
		sections = append(sections, section{rest[0], rest[:end], rest[header:end]})
		rest = rest[end:]
	}
	if len(sections) == 0 {
		return nil, &FormatError{"it is a WebAssembly module with nothing in it", "build it anew"}
	}
	return sections, nil
}

// number reads an unsigned LEB128 number of 32 bits.
func number(data []byte) (n uint64, rest []byte, ok bool) {
	n, used := binary.Uvarint(data)
	if used <= 0 || used > binary.MaxVarintLen32 || n > math.MaxUint32 {
		return 0, nil, false
	}
	return n, data[used:], true
}

// others are files that are taken for modules, by what they begin with.
var others = []struct{ prefix, is, advice string }{
	{"(module", "it is WebAssembly in its text format", "make it a binary with wat2wasm"},
	{"(component", "it is a WebAssembly component in its text format", "Wasmloop runs core modules: build for WASI preview 1 (wasip1)"},
	{"\x7fELF", "it is a program for this kind of machine, not a WebAssembly module", "build it for WebAssembly: with Go, GOOS=wasip1 GOARCH=wasm"},
	{"MZ", "it is a Windows program, not a WebAssembly module", "build it for WebAssembly: with Go, GOOS=wasip1 GOARCH=wasm"},
	{"\xcf\xfa\xed\xfe", "it is a macOS program, not a WebAssembly module", "build it for WebAssembly: with Go, GOOS=wasip1 GOARCH=wasm"},
	{"\x1f\x8b", "it is compressed with gzip", "unpack it first"},
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd", "unpack it first"},
	{"PK\x03\x04", "it is a zip archive", "unpack it first"},
}

// sniff tells what begins as a module does from what does not.
func sniff(wasm []byte) error {
	const build = "build a module, for instance with wasmloop build"
	switch {
	case len(wasm) == 0:
		return &FormatError{"it is empty", build}
	case bytes.HasPrefix(wasm, preamble):
		return nil
	case bytes.HasPrefix(wasm, component):
		return &FormatError{
			"it is a WebAssembly component, and Wasmloop runs core modules",
			"build for WASI preview 1 (in Rust --target wasm32-wasip1, in Go GOOS=wasip1), without wasm-tools component new or componentize",
		}
	case bytes.HasPrefix(wasm, magic) && len(wasm) >= len(preamble):
		return &FormatError{fmt.Sprintf("it is a WebAssembly binary of an unknown version (% x)", wasm[4:8]), "build it as a core module of version 1"}
	case bytes.HasPrefix(preamble, wasm):
		return &FormatError{"it is cut off after the first bytes of a WebAssembly module", "copy it, download it or build it anew"}
	}
	text := bytes.TrimLeft(wasm, " \t\r\n")
	for _, other := range others {
		if bytes.HasPrefix(text, []byte(other.prefix)) {
			return &FormatError{other.is, other.advice}
		}
	}
	if isText(wasm) {
		return &FormatError{"it is a text file, not a WebAssembly module", build}
	}
	return &FormatError{"it is not a WebAssembly module", build}
}

// isText says whether the beginning of data is text.
func isText(data []byte) bool {
	data = data[:min(len(data), 512)]
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		cut := r == utf8.RuneError && len(data) < utf8.UTFMax
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError && !cut {
			return false
		}
		data = data[size:]
	}
	return true
}

// readCustom returns the content of a module's first custom section of this name.
func readCustom(wasm []byte, name string) (content []byte, found bool, err error) {
	sections, err := split(wasm)
	for _, s := range sections {
		if is, content, ok := s.custom(); ok && is == name {
			return content, true, nil
		}
	}
	return nil, false, err
}

// writeCustom returns a module with one custom section of this name, at its end, in place of any that it has. All else
// stays as it is, to the byte.
func writeCustom(wasm []byte, name string, content []byte) ([]byte, error) {
	sections, err := split(wasm)
	if err != nil {
		return nil, err
	}
	result := append(make([]byte, 0, len(wasm)+len(name)+len(content)+3*binary.MaxVarintLen32), preamble...)
	for _, s := range sections {
		if is, _, ok := s.custom(); !ok || is != name {
			result = append(result, s.raw...)
		}
	}
	body := binary.AppendUvarint(nil, uint64(len(name)))
	body = append(append(body, name...), content...)
	result = append(result, customSection)
	result = binary.AppendUvarint(result, uint64(len(body)))
	return append(result, body...), nil
}
