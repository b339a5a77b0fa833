// Package abi holds the wire types of the contract between the Wasmloop host and a module, and their strict encoding
// and decoding. The normative text is sdk/ABI.md; this package is the Go form of it, shared by the host and the Go SDK.
//
// It imports the standard library alone, so that a module that uses it stays small.
package abi

// Version is the ABI version that this package speaks. A reactor module returns it from ExportVersion.
const Version = 1

// ImportModule is the name of the Wasm module that the host's functions are imported from.
const ImportModule = "wasmloop"

// The functions that the host offers to a reactor module, by import name.
const (
	ImportRequestLen    = "request_len"    // () -> i32: the request's length in bytes
	ImportRequestRead   = "request_read"   // (ptr, offset, len i32) -> i32: bytes copied
	ImportResponseWrite = "response_write" // (ptr, len i32): a second call replaces the first
	ImportError         = "error"          // (ptr, len i32): the message of a failure
	ImportLog           = "log"            // (level, ptr, len i32): one line
)

// The functions that a reactor module exports. A module without them is a command: request on stdin, response on stdout.
const (
	ExportMemory     = "memory"
	ExportInitialize = "_initialize"          // optional: what the module's language needs before the first call
	ExportVersion    = "wasmloop_abi_version" // () -> i32: Version
	ExportReconcile  = "reconcile"            // () -> i32: 0 if a response was written
	ExportStart      = "_start"               // a command's entry
)

// TerminalPrefix begins the message of an error that is not to be retried until the input changes.
const TerminalPrefix = "terminal: "

// Level is the severity of a module's log line.
type Level int32

// The levels that ImportLog takes. Any other value is taken as LevelInfo.
const (
	LevelDebug Level = -1
	LevelInfo  Level = 0
	LevelWarn  Level = 1
	LevelError Level = 2
)

// String returns the level's name in lower case.
func (l Level) String() string {
	switch l {
	case LevelDebug:
		return "debug"
	case LevelWarn:
		return "warn"
	case LevelError:
		return "error"
	default:
		return "info"
	}
}
