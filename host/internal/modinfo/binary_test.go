package modinfo

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixtures are the sandbox's modules.
const fixtures = "../guest/testdata/"

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	wasm, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

func TestCheckRefuses(t *testing.T) {
	whole := fixture(t, "answers.wasm")
	tests := map[string]struct {
		reason string
		data   string
		want   string
	}{
		"nothing":            {"a build that failed may leave that", "", "it is empty"},
		"text":               {"a wrong path is the usual mistake", "apiVersion: v1\n", "it is a text file, not a WebAssembly module"},
		"text format":        {"it looks like WebAssembly to a person", " (module\n", "it is WebAssembly in its text format"},
		"native program":     {"the target was forgotten", "\x7fELF\x02\x01", "it is a program for this kind of machine, not a WebAssembly module"},
		"compressed":         {"as it was downloaded", "\x1f\x8b\x08", "it is compressed with gzip"},
		"something else":     {"nothing is known of it", "\x00\x01\x02\x03\xff", "it is not a WebAssembly module"},
		"component":          {"what today's tools make by default", "\x00asm\x0d\x00\x01\x00", "it is a WebAssembly component, and Wasmloop runs core modules"},
		"later version":      {"it may come", "\x00asm\x02\x00\x00\x00", "it is a WebAssembly binary of an unknown version (02 00 00 00)"},
		"first bytes":        {"a copy was cut off", "\x00asm\x01", "it is cut off after the first bytes of a WebAssembly module"},
		"header alone":       {"it would be valid, and of no use", "\x00asm\x01\x00\x00\x00", "it is a WebAssembly module with nothing in it"},
		"cut off":            {"a copy was cut off", string(whole[:len(whole)-3]), "it is a WebAssembly module that is cut off or damaged: its section at offset 0xa4 does not end within it"},
		"a size with no end": {"a number of more than 32 bits", "\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\xff\x01", "it is a WebAssembly module that is cut off or damaged: its section at offset 0x8 does not end within it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Check([]byte(tt.data))
			fault, ok := errors.AsType[*FormatError](err)
			if !ok || fault.Reason != tt.want || fault.Advice == "" {
				t.Errorf("%s: got %v, want %q and what to do", tt.reason, err, tt.want)
			}
		})
	}
}

// TestCheckAccepts checks all modules that the sandbox's tests load: what is checked here must not refuse what it takes.
func TestCheckAccepts(t *testing.T) {
	paths, err := filepath.Glob(fixtures + "*.wasm")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range paths {
		if err := Check(fixture(t, filepath.Base(path))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMemory(t *testing.T) {
	tests := map[string]struct {
		wasm []byte
		want uint64
	}{
		"one page":        {fixture(t, "answers.wasm"), 64 << 10},
		"the most":        {fixture(t, "huge_memory.wasm"), 4 << 30},
		"no memory":       {[]byte("\x00asm\x01\x00\x00\x00\x00\x01\x00"), 0},
		"no vector":       {[]byte("\x00asm\x01\x00\x00\x00\x05\x00"), 0},
		"a count alone":   {[]byte("\x00asm\x01\x00\x00\x00\x05\x01\x01"), 0},
		"a size cut off":  {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x80"), 0},
		"of two memories": {[]byte("\x00asm\x01\x00\x00\x00\x05\x05\x02\x00\x02\x00\x01"), 2 * 64 << 10},
	}
	for name, tt := range tests {
		if got := Memory(tt.wasm); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

func TestWriteCustom(t *testing.T) {
	original := fixture(t, "answers.wasm")
	once, err := writeCustom(original, "mine", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(once, original) {
		t.Error("what was there is not as it was")
	}
	other, err := writeCustom(once, "another", []byte("kept"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := writeCustom(other, "mine", []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"mine", "another", "none"} {
		content, found, err := readCustom(twice, name)
		if err != nil {
			t.Fatal(err)
		}
		if found {
			got[name] = string(content)
		}
	}
	if diff := cmp.Diff(map[string]string{"mine": "two", "another": "kept"}, got); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if bytes.Contains(twice, []byte("one")) {
		t.Error("the old section is still there")
	}
}

// FuzzCustom writes into and reads from whatever bytes: nothing panics, and what is written is read.
func FuzzCustom(f *testing.F) {
	f.Add(fixture(f, "answers.wasm"), "mine", []byte("content"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x03\x02ab"), "ab", []byte{})
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01"), "", []byte("x"))
	f.Fuzz(func(t *testing.T, wasm []byte, name string, content []byte) {
		_, _ = Read(wasm)
		_ = Memory(wasm)
		written, err := writeCustom(wasm, name, content)
		if err != nil {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Errorf("got %v, want a FormatError", err)
			}
			return
		}
		got, found, err := readCustom(written, name)
		if err != nil || !found || !bytes.Equal(got, content) {
			t.Fatalf("read %q, %t, %v, want %q", got, found, err, content)
		}
		again, err := writeCustom(written, name, content)
		if err != nil || !bytes.Equal(again, written) {
			t.Errorf("writing the same once more gives other bytes (%v)", err)
		}
		if Memory(written) != Memory(wasm) {
			t.Error("the memory section is another one")
		}
	})
}
