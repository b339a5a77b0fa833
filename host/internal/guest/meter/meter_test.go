package meter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
)

// An index one past the end of the module's own space must be refused: it could name what the rewriting adds, the fuel
// counter or the tick, or at least make an invalid module valid.
func TestIndicesOnePastTheEnd(t *testing.T) {
	var (
		table    = vector(sectionTable, "\x70\x00\x01")
		memory   = vector(sectionMemory, "\x00\x01")
		global   = vector(sectionGlobal, "\x7f\x01\x41\x00\x0b")
		elements = vector(sectionElement, "\x01\x00\x01\x00") // passive: the function
		count    = appendSection(nil, sectionDataCount, []byte{1})
		data     = vector(sectionData, "\x01\x01a")
	)
	cases := map[string]struct {
		wasm []byte
		want string
	}{
		"type of a function":          {wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x01")), "type 1"},
		"type of an import":           {wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionImport, "\x01a\x01b\x00\x01")), "type 1"},
		"type of a block":             {oneFunction("\x02\x01\x0b"), "block type 1"},
		"type of an indirect call":    {oneFunction("\x41\x00\x11\x01\x00", table), "type 1"},
		"function of a call":          {oneFunction("\x10\x01"), "function 1"},
		"function of a reference":     {oneFunction("\xd2\x01\x1a"), "function 1"},
		"function of an export":       {oneFunction("", vector(sectionExport, "\x01a\x00\x01")), "function 1"},
		"function of an element":      {oneFunction("", table, vector(sectionElement, "\x00\x41\x00\x0b\x01\x01")), "function 1"},
		"function of an expression":   {oneFunction("", table, vector(sectionElement, "\x04\x41\x00\x0b\x01\xd2\x01\x0b")), "function 1"},
		"function of a global":        {oneFunction("", vector(sectionGlobal, "\x70\x00\xd2\x01\x0b")), "function 1"},
		"start function":              {oneFunction("", appendSection(nil, sectionStart, []byte{1})), "function 1"},
		"global that is read":         {oneFunction("\x23\x01\x1a", global), "global 1"},
		"global that is set":          {oneFunction("\x41\x00\x24\x01", global), "global 1"},
		"global that refuels":         {oneFunction("\x42\xff\xff\xff\xff\x0f\x24\x00"), "global 0"},
		"global of an export":         {oneFunction("", global, vector(sectionExport, "\x01a\x03\x01")), "global 1"},
		"global of a global":          {oneFunction("", vector(sectionGlobal, "\x7f\x01\x23\x01\x0b")), "global 1"},
		"global of an offset":         {oneFunction("", memory, vector(sectionData, "\x00\x23\x00\x0b\x00")), "global 0"},
		"local that is read":          {oneFunction("\x20\x00\x1a"), "local 0"},
		"local that is set":           {oneFunction("\x41\x00\x21\x00"), "local 0"},
		"local that is kept":          {oneFunction("\x41\x00\x22\x00\x1a"), "local 0"},
		"local that a bulk op adds":   {oneFunction("\x41\x00\x40\x00\x1a\x20\x00\x1a", memory), "local 0"},
		"table of an indirect call":   {oneFunction("\x41\x00\x11\x00\x01", table), "table 1"},
		"table that is read":          {oneFunction("\x41\x00\x25\x01\x1a", table), "table 1"},
		"table that is set":           {oneFunction("\x41\x00\xd0\x70\x26\x01", table), "table 1"},
		"table that is initialised":   {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0c\x00\x01", table, elements), "table 1"},
		"table that is copied to":     {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0e\x01\x00", table), "table 1"},
		"table that is copied from":   {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x01", table), "table 1"},
		"table that grows":            {oneFunction("\xd0\x70\x41\x00\xfc\x0f\x01\x1a", table), "table 1"},
		"table that is asked":         {oneFunction("\xfc\x10\x01\x1a", table), "table 1"},
		"table that is filled":        {oneFunction("\x41\x00\xd0\x70\x41\x00\xfc\x11\x01", table), "table 1"},
		"table of an export":          {oneFunction("", table, vector(sectionExport, "\x01a\x01\x01")), "table 1"},
		"table of an element":         {oneFunction("", table, vector(sectionElement, "\x02\x01\x41\x00\x0b\x00\x00")), "table 1"},
		"memory of an export":         {oneFunction("", memory, vector(sectionExport, "\x01a\x02\x01")), "memory 1"},
		"memory of data":              {oneFunction("", memory, vector(sectionData, "\x02\x01\x41\x00\x0b\x00")), "memory 1"},
		"data that is copied":         {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x08\x01\x00", memory, count, data), "data segment 1"},
		"data that is dropped":        {oneFunction("\xfc\x09\x01", memory, count, data), "data segment 1"},
		"data without a count":        {oneFunction("\xfc\x09\x00", memory, data), "data segment 0"},
		"elements that are copied":    {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0c\x01\x00", table, elements), "element segment 1"},
		"elements that are dropped":   {oneFunction("\xfc\x0d\x01", table, elements), "element segment 1"},
		"memory index of memory.size": {oneFunction("\x3f\x01\x1a", memory), "a memory index other than 0"},
		"memory index of memory.grow": {oneFunction("\x41\x00\x40\x01\x1a", memory), "a memory index other than 0"},
		"memory index of memory.fill": {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0b\x01", memory), "a memory index other than 0"},
		"memory index of memory.copy": {oneFunction("\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x01", memory), "a memory index other than 0"},
		"memory index of a load":      {oneFunction("\x41\x00\x28\x40\x00\x00\x1a", memory), "a memory index"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { refuses(t, c.wasm, c.want) })
	}
}

// refuses fails unless a module is refused with a message that begins with want.
func refuses(t *testing.T, wasm []byte, want string) {
	t.Helper()
	_, err := Rewrite(wasm, Options{})
	var format *FormatError
	if !errors.As(err, &format) || !strings.HasPrefix(format.Message, want) {
		t.Errorf("error %v, want one that begins with %q", err, want)
	}
}

// What other proposals add is refused by name, with the place where it stands.
func TestWhatIsNotSupportedIsNamed(t *testing.T) {
	cases := map[string]struct {
		wasm []byte
		want FormatError
	}{
		"tail call":       {oneFunction("\x12\x00"), FormatError{0x17, "return_call (tail calls) is not supported: it is not of WebAssembly 2.0"}},
		"exceptions":      {oneFunction("\x01\x08\x00"), FormatError{0x18, "throw (exception handling) is not supported: it is not of WebAssembly 2.0"}},
		"threads":         {oneFunction("\xfe\x03\x00"), FormatError{0x17, "an atomic instruction (threads) is not supported: it is not of WebAssembly 2.0"}},
		"GC":              {oneFunction("\xfb\x01\x00"), FormatError{0x17, "an instruction of garbage collection is not supported: it is not of WebAssembly 2.0"}},
		"typed reference": {oneFunction("\x14\x00"), FormatError{0x17, "call_ref (typed function references) is not supported: it is not of WebAssembly 2.0"}},
		"relaxed SIMD": {
			oneFunction("\xfd\x80\x02"),
			FormatError{0x1a, "opcode 0xfd 256 is not supported: it is not of WebAssembly 2.0 (relaxed SIMD?)"},
		},
		"unknown": {oneFunction("\x27"), FormatError{0x17, "opcode 0x27 is not supported: it is not of WebAssembly 2.0"}},
		"unknown bulk operation": {
			oneFunction("\xfc\x12"), FormatError{0x19, "opcode 0xfc 18 is not supported: it is not of WebAssembly 2.0"},
		},
		"memory64":         {wasmOf(vector(sectionMemory, "\x04\x01")), FormatError{0xb, "limits of form 0x4 are not supported: they are not of WebAssembly 2.0"}},
		"shared memory":    {wasmOf(vector(sectionMemory, "\x03\x01\x01")), FormatError{0xb, "limits of form 0x3 are not supported: they are not of WebAssembly 2.0"}},
		"struct type":      {wasmOf(vector(sectionType, "\x5f\x00")), FormatError{0xb, "type form 0x5f is not supported: it is not of WebAssembly 2.0"}},
		"exnref":           {wasmOf(vector(sectionType, "\x60\x01\x69\x00")), FormatError{0xd, "value type 0x69 is not supported: it is not of WebAssembly 2.0"}},
		"tag section":      {wasmOf([]byte{13, 1, 0}), FormatError{0xa, "section 13 is unknown, or comes twice or too late"}},
		"tag import":       {wasmOf(vector(sectionImport, "\x01a\x01b\x04\x00\x00")), FormatError{0x10, "import kind 0x4 is not supported: it is not of WebAssembly 2.0"}},
		"component":        {[]byte("\x00asm\x0d\x00\x01\x00"), FormatError{0, "not a WebAssembly module of version 1"}},
		"extended const":   {wasmOf(vector(sectionGlobal, "\x7f\x00\x41\x00\x41\x00\x6a\x0b")), FormatError{0x11, "opcode 0x6a is not allowed in a constant expression"}},
		"section twice":    {wasmOf(vector(sectionType), vector(sectionType)), FormatError{0xd, "section 1 is unknown, or comes twice or too late"}},
		"section too late": {wasmOf(vector(sectionFunction), vector(sectionType)), FormatError{0xd, "section 1 is unknown, or comes twice or too late"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Rewrite(c.wasm, Options{})
			var got *FormatError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a FormatError", err)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// Each way to declare much with few bytes has a limit, beside the size of the module.
func TestDeclarationsAreBounded(t *testing.T) {
	options := Options{MaxTable: 10, MaxFunctions: 3}
	locals := func(count string) string { return string(appendName(nil, "\x01"+count+"\x7f\x0b")) }
	cases := map[string]struct {
		wasm []byte
		want string
	}{
		"table":     {wasmOf(vector(sectionTable, "\x70\x00\x0b")), "tables of 11 elements are over the limit of 10"},
		"tables":    {wasmOf(vector(sectionTable, "\x70\x00\x06", "\x70\x00\x06")), "tables of 12 elements are over the limit of 10"},
		"functions": {wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00", "\x00", "\x00", "\x00")), "4 functions are more than the limit of 3"},
		"imported functions": {
			wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionImport, slices.Repeat([]string{"\x01a\x01b\x00\x00"}, 4)...)),
			"4 functions are more than the limit of 3",
		},
		"locals": {
			wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionCode, locals("\xd1\x86\x03"))),
			"50001 locals are more than the limit of 50000",
		},
		"more locals than a number can say": {
			wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionCode, locals("\xff\xff\xff\xff\x0f"))),
			"4294967295 locals are more than the limit of 50000",
		},
		"functions that are not there": {wasmOf(vector(sectionType, "\x60\x00\x00"), appendSection(nil, sectionFunction, []byte("\xff\xff\xff\x0f\x00"))), "33554431 functions do not fit into what is left"},
		"br_table":                     {oneFunction("\x41\x00\x0e\xff\xff\xff\x0f\x00"), "33554431 labels do not fit into what is left"},
		"types":                        {wasmOf(appendSection(nil, sectionType, []byte("\xff\xff\xff\xff\x0f"))), "4294967295 types do not fit into what is left"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Rewrite(c.wasm, options)
			var got *FormatError
			if !errors.As(err, &got) || got.Message != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	wide := string(appendName(nil, "\x01\xa0\x1f\x7f"+strings.Repeat("\x02\x40\x0b", 1000)+"\x0b")) // 4,000 locals
	refuses(t, wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionCode, wide)),
		"function 0 takes too long to compile: 1000 blocks, 0 branches and 4000 variables are over the limit of 32000000")
	many := string(appendName(nil, "\x01\x64\x7f"+strings.Repeat("\x02\x40\x0b", 4500)+"\x0b"))
	refuses(t, wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, slices.Repeat([]string{"\x00"}, 30)...),
		vector(sectionCode, slices.Repeat([]string{many}, 30)...)),
		"the functions up to 21 take too long to compile: their blocks, branches and variables are over the limit of 512000000")
	long := bodyOf(strings.Repeat("\x01", 256<<10))
	refuses(t, wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionCode, long)),
		"function 0 has 262146 bytes, which is more than the limit of 262144")
	body := string(appendName(nil, "\x01\xd0\x86\x03\x7f\x0b")) // 50,000 locals
	wasm := wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, slices.Repeat([]string{"\x00"}, 201)...),
		vector(sectionCode, slices.Repeat([]string{body}, 201)...))
	refuses(t, wasm, "10050000 locals are more than the limit of 10000000 for all functions together")
}

// Together tables get no more elements than the limit, however each may grow.
func TestTablesShareTheLimit(t *testing.T) {
	wasm := wasmOf(vector(sectionTable, "\x70\x00\x02", "\x6f\x01\x01\x02", "\x70\x00\x00", "\x70\x01\x00\x7f"))
	got, err := Rewrite(wasm, Options{MaxTable: 23})
	if err != nil {
		t.Fatal(err)
	}
	want := vector(sectionTable, "\x70\x01\x02\x07", "\x6f\x01\x01\x02", "\x70\x01\x00\x05", "\x70\x01\x00\x05")
	if !strings.Contains(string(got.Wasm), string(want)) {
		t.Errorf("%x does not have the tables %x", got.Wasm, want)
	}
}

func TestResult(t *testing.T) {
	const exports = "\x0dwasmloop_fuel\x03\x00\x11wasmloop_global_1\x03\x01"
	wasm := oneFunction("",
		vector(sectionImport, "\x01a\x01m\x02\x00\x02"),
		vector(sectionGlobal, "\x7e\x01\x42\x00\x0b", "\x7f\x01\x41\x00\x0b", "\x7f\x00\x41\x00\x0b", "\x7d\x01\x43\x00\x00\x00\x00\x0b"),
		appendSection(nil, sectionExport, []byte("\x02"+exports)))
	got, err := Rewrite(wasm, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got.Wasm = nil
	want := &Result{
		Fuel:         "wasmloop_fuel_",
		Globals:      []string{"wasmloop_global_0", "wasmloop_global_1_", "wasmloop_global_3"},
		Imports:      []string{"a.m"},
		Uncapturable: "it imports its memory",
		Memory:       2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// All of WebAssembly 2.0 passes, and is valid afterwards.
func TestWhatPasses(t *testing.T) {
	memory := vector(sectionMemory, "\x00\x01")
	cases := map[string][]byte{
		"nothing":             wasmOf(),
		"vectors":             oneFunction("\xfd\x0c"+strings.Repeat("\x01", 16)+"\xfd\x0c"+strings.Repeat("\x02", 16)+"\xfd\x0d"+strings.Repeat("\x03", 16)+"\xfd\x15\x00\x1a", memory),
		"vector loads":        oneFunction("\x41\x00\xfd\x00\x04\x00\x1a\x41\x00\x41\x00\xfd\x00\x00\x00\xfd\x54\x00\x00\x01\x1a", memory),
		"references":          oneFunction("\xd0\x6f\xd1\x1a\xd0\x70\xd0\x70\x41\x00\x1c\x01\x70\x1a"),
		"saturating":          oneFunction("\x43\x00\x00\x00\x00\xfc\x00\x1a\x44\x00\x00\x00\x00\x00\x00\x00\x00\xfc\x07\x1a"),
		"sign extension":      oneFunction("\x41\x00\xc0\xc1\x1a\x42\x00\xc2\xc3\xc4\x1a"),
		"dead bulk operation": oneFunction("\x00\xfc\x0b\x00\x40\x00\x1a", memory),
		"dead loop":           oneFunction("\x00\x03\x40\x0c\x00\x0b"),
		"reference to itself": oneFunction("\xd2\x00\x1a", vector(sectionElement, "\x03\x00\x01\x00")),
		"padded numbers":      oneFunction("\x10\x80\x80\x80\x80\x00\x41\x80\x80\x80\x80\x00\x1a"),
		"custom sections":     slices.Concat(wasmOf(), appendSection(nil, 0, []byte("\x01x\xff\xff")), oneFunction("")[8:], appendSection(nil, 0, []byte("\x01yz"))),
		"names that are none": slices.Concat(oneFunction(""), appendSection(nil, 0, []byte("\x04name\x01\xff"))),
	}
	for name, wasm := range cases {
		t.Run(name, func(t *testing.T) { mustRewrite(t, wasm) })
	}
}

// The names in a trap's stack are those of the functions that were called, though the functions have other numbers.
func TestNamesInStacks(t *testing.T) {
	names := "\x04name" +
		"\x00\x02\x01m" + // of the module
		"\x01\x19\x03\x00\x08imported\x01\x05outer\x02\x05inner" +
		"\x02\x06\x01\x01\x01\x00\x01p" // of a local
	wasm := slices.Concat(wasmOf(
		vector(sectionType, "\x60\x00\x00"),
		vector(sectionImport, "\x01a\x01b\x00\x00"),
		vector(sectionFunction, "\x00", "\x00"),
		vector(sectionExport, "\x03run\x00\x01"),
		vector(sectionCode, bodyOf("\x10\x02"), bodyOf("\x10\x00\x00"))),
		appendSection(nil, 0, []byte(names)))
	result := mustRewrite(t, wasm)
	b := newBench(t)
	if _, err := b.runtime.NewHostModuleBuilder("a").NewFunctionBuilder().WithFunc(func() {}).Export("b").
		Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	module, err := b.runtime.InstantiateWithConfig(t.Context(), result.Wasm, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.call(t.Context(), module.ExportedFunction("run"), 1000)
	want := "wasm error: unreachable\nwasm stack trace:\n\tm.inner()\n\tm.outer()"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
}

// fuelOf calls the function f of a module twice, and returns what each call costs.
func fuelOf(t *testing.T, wasm []byte) uint64 {
	t.Helper()
	b := newBench(t)
	module, err := b.start(t.Context(), mustRewrite(t, wasm).Wasm, 0)
	if err != nil {
		t.Fatal(err)
	}
	var costs [2]uint64
	for i := range costs {
		const enough = 1 << 40
		if _, err := b.call(t.Context(), module.ExportedFunction("f"), enough); err != nil {
			t.Fatal(err)
		}
		costs[i] = uint64(enough - b.fuel)
	}
	if costs[0] != costs[1] {
		t.Errorf("calls cost %d", costs)
	}
	return costs[0]
}

// A loop costs for each iteration, a function for each call, straight code by its length, and a goto what it goes back over.
func TestFuelIsExact(t *testing.T) {
	nops := strings.Repeat("\x01", 640)
	loop := "\x41\x0a\x21\x00\x03\x40\x20\x00\x41\x01\x6b\x22\x00\x0d\x00\x0b" // ten iterations
	const (
		// Two parts of code between which gotos jump, local 0 saying where to: label 1 goes there from within them.
		first  = "\x03\x40\x02\x40\x02\x40\x20\x00\x0e\x01\x00\x01\x0b"
		second = "\x0b"
		// Goes forward from the first part to the second.
		forward = "\x41\x01\x21\x00\x0c\x01"
		// Goes back from the second part to the first, as long as local 1, less one each time, is not zero.
		back = "\x20\x01\x41\x01\x6b\x22\x01\x04\x40\x41\x00\x21\x00\x0c\x01\x0b"
		ten  = "\x41\x0a\x21\x01"
	)
	withLocals := func(code string) []byte {
		return wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, "\x00"), vector(sectionMemory, "\x00\x02"),
			vector(sectionExport, "\x01f\x00\x00"), vector(sectionCode, string(appendName(nil, "\x01\x02\x7f"+code+"\x0b"))))
	}
	cases := map[string]struct {
		code string
		want uint64
	}{
		"nothing":       {"", 1},
		"straight":      {nops, 1 + 10},
		"loop":          {loop, 10}, // which pays for the function too
		"after a loop":  {loop + nops, 1 + 10 + 10},
		"within a loop": {"\x41\x0a\x21\x00\x03\x40" + nops + "\x20\x00\x41\x01\x6b\x22\x00\x0d\x00\x0b", 10 * (1 + 10)},
		"goto forward":  {first + nops + forward + second + "\x0b", 1 + 10},
		// Each time it goes back over 144 instructions of those that the function has.
		"goto back":   {nops + ten + first + nops[:128] + forward + second + back + "\x0b", 1 + 12 + 9*(1+2)},
		"memory.fill": {"\x41\x00\x41\x00\x41\x80\x02\xfc\x0b\x00", 1 + 256/16},
		"memory.copy": {"\x41\x00\x41\x00\x41\x80\x02\xfc\x0a\x00\x00", 1 + 256/16},
		"memory.grow": {"\x41\x03\x40\x00\x1a", 1 + 3*1024},
		"grow by -1":  {"\x41\x7f\x40\x00\x1a", 1 + 65536*1024},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if used := fuelOf(t, withLocals(c.code)); used != c.want {
				t.Errorf("it cost %d, want %d", used, c.want)
			}
		})
	}
}

// A small function is paid for by those who call it, as if it stood there.
func TestSmallFunctionsArePaidForByOthers(t *testing.T) {
	nops := func(n int) string { return strings.Repeat("\x01", n) }
	const endless = "\x03\x40\x0c\x00\x0b"
	cases := map[string]struct {
		functions []string // the first is called
		want      uint64
	}{
		"small":             {[]string{"\x10\x01\x10\x01\x10\x01", nops(30)}, 1 + (4+3*31)/64},
		"large":             {[]string{"\x10\x01\x10\x01\x10\x01", nops(100)}, 1 + 3*(1+101/64)},
		"small in a chain":  {[]string{"\x10\x01\x10\x01", "\x10\x02" + nops(20), nops(30)}, 1 + (3+2*(22+31))/64},
		"chain too long":    {[]string{"\x10\x01\x10\x01", "\x10\x02\x10\x02", nops(40)}, 1 + 2*(1+(3+2*41)/64)},
		"not run":           {[]string{"\x41\x00\x04\x40\x10\x01\x10\x01\x0b", nops(60)}, 1 + (6+2*61)/64},
		"with a loop":       {[]string{"\x10\x01", nops(10) + "\x03\x40\x0b"}, 1 + 1},
		"never called":      {[]string{"", endless}, 1},
		"calls itself":      {[]string{"\x41\x00\x04\x40\x10\x00\x0b", ""}, 1},
		"call each other":   {[]string{"\x10\x01", "\x41\x00\x04\x40\x10\x02\x0b", "\x10\x01"}, 1 + 1},
		"small in a table":  {[]string{"\x41\x01\x11\x00\x00", nops(30)}, 1 + (3+64)/64},
		"large in a table":  {[]string{"\x41\x01\x11\x00\x00", nops(100)}, 1 + (3+64)/64 + 1 + 101/64},
		"nothing but calls": {[]string{strings.Repeat("\x10\x01", 127), ""}, 1 + (128+127)/64},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var types, bodies []string
			for _, code := range c.functions {
				types, bodies = append(types, "\x00"), append(bodies, bodyOf(code))
			}
			got := fuelOf(t, wasmOf(vector(sectionType, "\x60\x00\x00"), vector(sectionFunction, types...),
				vector(sectionTable, "\x70\x00\x02"), vector(sectionExport, "\x01f\x00\x00"),
				vector(sectionElement, "\x00\x41\x00\x0b\x02\x00\x01"), vector(sectionCode, bodies...)))
			if got != c.want {
				t.Errorf("it cost %d, want %d", got, c.want)
			}
		})
	}
}
