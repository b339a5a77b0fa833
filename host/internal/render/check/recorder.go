package check

import (
	"bytes"
	"context"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// recorder is a module that remembers what it was asked since the last time that somebody wanted to know.
type recorder struct {
	reconcile.Module
	calls int
	asked []exchange
	known map[string]bool
}

// exchange is a request and what came of it.
type exchange struct {
	request, response []byte
	err               error
}

func newRecorder(module reconcile.Module) *recorder {
	return &recorder{Module: module, known: map[string]bool{}}
}

// Call implements reconcile.Module.
func (r *recorder) Call(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
	r.calls++
	response, err := r.Module.Call(ctx, request, log)
	if !r.known[string(request)] {
		r.known[string(request)] = true
		r.asked = append(r.asked, exchange{bytes.Clone(request), response, err})
	}
	return response, err
}

// take returns the requests that are new since the last time.
func (r *recorder) take() []exchange {
	asked := r.asked
	r.asked = nil
	return asked
}

func silent(abi.Level, string) {}
