package guest

import "github.com/tetratelabs/wazero/experimental"

// boundedAllocator bounds the memory of one instance, since wazero's own limit holds for a whole runtime.
type boundedAllocator struct {
	limit   uint64
	refused uint64 // the size that was asked for when the limit was hit
}

// Allocate implements experimental.MemoryAllocator.
func (a *boundedAllocator) Allocate(capacity, _ uint64) experimental.LinearMemory {
	return &boundedMemory{allocator: a, bytes: make([]byte, 0, min(capacity, a.limit))}
}

type boundedMemory struct {
	allocator *boundedAllocator
	bytes     []byte
}

// Reallocate implements experimental.LinearMemory. Nil lets memory.grow return -1, as WebAssembly has it.
func (m *boundedMemory) Reallocate(size uint64) []byte {
	if size > m.allocator.limit {
		m.allocator.refused = size
		return nil
	}
	if size > uint64(cap(m.bytes)) {
		grown := make([]byte, size, min(size+size/4, m.allocator.limit))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free implements experimental.LinearMemory.
func (m *boundedMemory) Free() { m.bytes = nil }
