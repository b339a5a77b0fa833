package engine

import (
	"context"
	"errors"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/modinfo"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// defaultMemory is the default of limits.memory, in bytes.
const defaultMemory = 64 << 20

// Inspection is what there is to know of a module before it is put to work.
type Inspection struct {
	// Digest and Size are those of the WebAssembly binary.
	Digest string
	Size   int
	// Metadata is what the module says of itself, nil if it says nothing. MetadataFault is why it could not be read.
	Metadata      *modinfo.Metadata
	MetadataFault error
	// MemoryLimit is what limits.memory has to be for the module to start, in bytes: 0 if the default will do.
	MemoryLimit uint64
	guest.Description
}

// Inspect loads a module as a host would, within the default limits or as much memory as it starts with, and describes it.
// What is no module at all is a *modinfo.FormatError.
func Inspect(ctx context.Context, fetched *source.Module) (inspection *Inspection, err error) {
	if err := modinfo.Check(fetched.Bytes); err != nil {
		return nil, err
	}
	inspection = &Inspection{Digest: fetched.Digest, Size: len(fetched.Bytes)}
	inspection.Metadata, inspection.MetadataFault = modinfo.Read(fetched.Bytes)
	var limits guest.Limits
	if limit := memoryLimit(modinfo.Memory(fetched.Bytes)); limit > defaultMemory {
		inspection.MemoryLimit, limits.Memory = limit, limit
	}
	runtime, err := guest.NewRuntime(ctx, guest.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	module, err := runtime.Load(ctx, fetched.Bytes, limits, guest.Hermetic)
	if err != nil {
		return nil, err
	}
	inspection.Description = module.Describe()
	return inspection, module.Close(ctx)
}

// memoryLimit returns a limit for a module whose memory starts with so many bytes: a power of two, with room to work in.
func memoryLimit(start uint64) uint64 {
	limit := uint64(defaultMemory)
	for limit < start+start/4 && limit < 4<<30 {
		limit *= 2
	}
	return limit
}
