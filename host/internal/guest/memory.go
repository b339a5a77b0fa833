package guest

import "github.com/tetratelabs/wazero/experimental"

// boundedMemory is the linear memory of one instance: address space for as much as its limit allows. It bounds the
// memory of each instance, where wazero's own limit holds for a whole runtime, and it never moves.
type boundedMemory struct {
	reserved []byte
	refused  uint64 // the size that was asked for when the limit was hit
}

func newBoundedMemory(limit uint64) (*boundedMemory, error) {
	reserved, err := reserve(limit)
	if err != nil {
		return nil, err
	}
	return &boundedMemory{reserved: reserved}, nil
}

// Allocate implements experimental.MemoryAllocator: a module has one memory.
func (m *boundedMemory) Allocate(uint64, uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory. Nil lets memory.grow return -1, as WebAssembly has it.
func (m *boundedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
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
