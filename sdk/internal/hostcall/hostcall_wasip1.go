//go:build wasip1 && !wasmloop_command

// Package hostcall calls the functions that the host offers to a reactor module.
package hostcall

import (
	"unsafe"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

//go:wasmimport wasmloop request_len
func requestLen() uint32

//go:wasmimport wasmloop request_read
func requestRead(ptr unsafe.Pointer, offset, length uint32) uint32

//go:wasmimport wasmloop response_write
func responseWrite(ptr unsafe.Pointer, length uint32)

//go:wasmimport wasmloop error
func hostError(ptr unsafe.Pointer, length uint32)

//go:wasmimport wasmloop log
func hostLog(level int32, ptr unsafe.Pointer, length uint32)

// Request reads the whole request.
func Request() []byte {
	request := make([]byte, requestLen())
	read := requestRead(pointer(request), 0, uint32(len(request)))
	return request[:read]
}

// Respond writes the response.
func Respond(response []byte) { responseWrite(pointer(response), uint32(len(response))) }

// Error writes the message of a failure.
func Error(message []byte) { hostError(pointer(message), uint32(len(message))) }

// Log writes one line.
func Log(level abi.Level, line []byte) { hostLog(int32(level), pointer(line), uint32(len(line))) }

func pointer(data []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(data)) }
