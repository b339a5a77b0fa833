//go:build !wasip1 || wasmloop_command

// Package hostcall stands in for the functions that the host offers to a reactor module, where there is no such host:
// in a native test, and in a command.
package hostcall

import (
	"fmt"
	"os"
	"sync"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// A Sink takes log lines. It may be called by several goroutines.
type Sink func(level abi.Level, line []byte)

var (
	mutex sync.Mutex
	sink  Sink = stderr
)

// Log gives one line to the sink, which is stderr unless Capture says otherwise.
func Log(level abi.Level, line []byte) {
	mutex.Lock()
	defer mutex.Unlock()
	sink(level, line)
}

// Capture sends log lines to another sink, until restore is called.
func Capture(other Sink) (restore func()) {
	mutex.Lock()
	defer mutex.Unlock()
	previous := sink
	sink = other
	return func() {
		mutex.Lock()
		defer mutex.Unlock()
		sink = previous
	}
}

func stderr(level abi.Level, line []byte) { fmt.Fprintf(os.Stderr, "%s %s\n", level, line) }
