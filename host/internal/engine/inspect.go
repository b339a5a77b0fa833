package engine

import (
	"context"
	"errors"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// Inspection is what there is to know of a module before it is put to work.
type Inspection struct {
	// Digest and Size are those of the WebAssembly binary.
	Digest string
	Size   int
	guest.Description
}

// Inspect loads the module at a source URL as a host would, within the default limits, and describes it.
func Inspect(ctx context.Context, url string) (inspection *Inspection, err error) {
	fetched, err := source.Fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	runtime, err := guest.NewRuntime(ctx, guest.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	module, err := runtime.Load(ctx, fetched.Bytes, guest.Limits{}, guest.Hermetic)
	if err != nil {
		return nil, err
	}
	return &Inspection{Digest: fetched.Digest, Size: len(fetched.Bytes), Description: module.Describe()}, module.Close(ctx)
}
