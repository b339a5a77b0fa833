// Package meter rewrites WebAssembly modules so that their execution can be counted, interrupted and put back.
//
// What it adds to a module:
//
//   - a fuel counter, a global that each function entry and each loop iteration charges with one unit and another for
//     every 64 instructions that can follow before the next charge, and that bulk operations charge by their length
//     before they run; small functions are paid for where they are called, a function that is little but a loop by the
//     loop alone, and loops that compilers make of gotos by the gotos that go backward;
//   - an imported function, the tick, that is called whenever the counter falls below zero, and returns what the counter
//     goes on with;
//   - exports of the counter and of all mutable globals;
//   - an upper bound on the size of each table, so that together they stay within a limit.
//
// Fuel is exact and deterministic: it depends on the module and its input alone. Each unit stands for at most 64 executed
// instructions, since each instruction is paid for before it runs, and branches not taken are paid for too.
//
// The package takes modules of the WebAssembly Core Specification 2.0 and refuses all else. It checks each index of the
// original against the original's own index spaces, so that a module that names an item one past its own is refused,
// and never becomes valid by what is added: such a module could refuel itself. What types instructions have is left to
// the engine that compiles the result.
package meter

import "fmt"

// Version changes whenever the same module would be rewritten to other bytes.
const Version = "4"

// Names of what is added. A module that exports one of these names gets them with further underscores.
const (
	// TickModule and TickName name the imported tick function: (fuel i64) -> (fuel i64).
	TickModule = "wasmloop_meter"
	TickName   = "tick"

	fuelExport   = "wasmloop_fuel"
	globalExport = "wasmloop_global_"
)

// Options bound what a module may declare. The zero value of a field means its default.
type Options struct {
	// MaxTable is the most elements that all tables together may have. Default 1,000,000.
	MaxTable uint32
	// MaxFunctions is the most functions that a module may have. Default 200,000.
	MaxFunctions int
	// MaxFunctionSize is the most bytes that the body of one function may have. Default 256 KiB.
	MaxFunctionSize int
}

// Result is a rewritten module and what is known of it.
type Result struct {
	// Wasm is the rewritten module.
	Wasm []byte
	// Fuel is the export name of the fuel counter, a mutable i64 global. It starts at 0.
	Fuel string
	// Globals are the export names of all mutable globals of number types but the counter.
	Globals []string
	// Uncapturable says why an instance's state cannot be put back by restoring memory and Globals alone; empty if it can.
	Uncapturable string
	// Imports are what else than functions the module imports, as MODULE.NAME.
	Imports []string
	// Memory is the initial size of the module's memory in pages of 64 KiB, 0 if it has none.
	Memory uint32
}

// FormatError says why a module is refused.
type FormatError struct {
	// Offset is the place in the module, in bytes from its start.
	Offset int
	// Message says what is wrong there.
	Message string
}

// Error returns the message and the offset.
func (e *FormatError) Error() string { return fmt.Sprintf("%s at offset %#x", e.Message, e.Offset) }

// Rewrite returns wasm with metering. Errors are of type *FormatError.
func Rewrite(wasm []byte, options Options) (result *Result, err error) {
	setDefault(&options.MaxTable, 1_000_000)
	setDefault(&options.MaxFunctions, 200_000)
	setDefault(&options.MaxFunctionSize, 256<<10)
	defer func() { // the readers report errors by panicking, which keeps the format's grammar readable
		switch fault := recover().(type) {
		case nil:
		case *FormatError:
			result, err = nil, fault
		default:
			panic(fault)
		}
	}()
	m := parse(wasm, options)
	return m.rewrite(), nil
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}
