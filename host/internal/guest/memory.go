package guest

import "github.com/tetratelabs/wazero/experimental"

// boundedMemory is the linear memory of one instance: address space for as much as its limit allows. It bounds the
// memory of each instance, where wazero's own limit holds for a whole runtime, and it never moves.
type boundedMemory struct {
	reserved []byte
	limit    uint64
	refused  uint64 // the size that was asked for when the limit was hit
	shrinkTo uint64 // the size to have, whatever is asked for, if not 0
}

func newBoundedMemory(limit uint64) (*boundedMemory, error) {
	reserved, err := reserve(max(limit, wasmPage)) // nothing cannot be reserved
	if err != nil {
		return nil, err
	}
	return &boundedMemory{reserved: reserved, limit: limit}, nil
}

// Allocate implements experimental.MemoryAllocator: a module has one memory.
func (m *boundedMemory) Allocate(uint64, uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory. Nil lets memory.grow return -1, as WebAssembly has it.
func (m *boundedMemory) Reallocate(size uint64) []byte {
	if m.shrinkTo > 0 {
		return m.reserved[:m.shrinkTo]
	}
	if size > m.limit {
		m.refused = size
		return nil
	}
	return m.reserved[:size]
}

// Free implements experimental.LinearMemory.
func (m *boundedMemory) Free() {
	if m.reserved != nil {
		release(m.reserved)
		m.reserved = nil
	}
}
