// Package record keeps calls of modules in files, and makes them again. A call is a pure function of its request, so that a
// file from a cluster gives the same answer, byte for byte, wherever it is replayed.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Version is the version of the form of recordings.
const Version = 1

// Recording is one call of a module.
type Recording struct {
	// Version is that of the file's form.
	Version int `json:"version"`
	// Time is when the call began, Duration how long it took.
	Time     time.Time     `json:"time"`
	Duration time.Duration `json:"durationNanoseconds"`
	// Host is the version of the host.
	Host string `json:"host"`
	// Controller is the name of the controller that made the call.
	Controller string `json:"controller"`
	// Module is what was called, and within which bounds.
	Module Module `json:"module"`
	// Redacted is true if the contents of Secrets were made unrecognisable, in the request and in the response.
	Redacted bool `json:"redacted,omitempty"`
	// Fuel is what the call used.
	Fuel uint64 `json:"fuel"`
	// Error is how the call failed, empty if it did not.
	Error string `json:"error,omitempty"`
	// Response is what the module answered, which need not be JSON.
	Response string `json:"response,omitempty"`
	// Request is what the module was given.
	Request json.RawMessage `json:"-"`
}

// Module is the module of a recording.
type Module struct {
	Name      string          `json:"name"`
	Source    string          `json:"source"`
	Digest    string          `json:"digest"`
	Isolation guest.Isolation `json:"isolation"`
	Limits    guest.Limits    `json:"limits"`
}

// failed says whether the call, or what was answered, is a failure.
func (r *Recording) failed() bool {
	if r.Error != "" {
		return true
	}
	response, err := abi.DecodeResponse([]byte(r.Response))
	return err != nil || response.Error != nil
}

// encode encodes a recording. The request stands in it as it was, since encoding it anew would make other bytes of it.
func (r *Recording) encode() ([]byte, error) {
	encoded, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a recording: %w", err)
	}
	encoded = append(bytes.TrimSuffix(encoded, []byte("}")), `,"request":`...)
	return append(append(encoded, r.Request...), '}', '\n'), nil
}

// Read reads a recording.
func Read(path string) (*Recording, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the recording: %w", err)
	}
	r := &Recording{}
	whole := struct {
		*Recording
		Request json.RawMessage `json:"request"`
	}{Recording: r}
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("%s is no recording: %w", path, err)
	}
	switch r.Request = whole.Request; {
	case r.Version == 0 || len(r.Request) == 0 || r.Module.Digest == "":
		return nil, fmt.Errorf("%s is no recording: want a file that wasmloop run --record has written", path)
	case r.Version != Version:
		return nil, fmt.Errorf("%s has version %d of the form of recordings, and this wasmloop knows version %d", path, r.Version, Version)
	}
	return r, nil
}

// subject returns the namespace and the name of the reconciled object, as far as they can be told.
func (r *Recording) subject() (namespace, name string, err error) {
	var request struct {
		Object struct {
			Metadata struct{ Namespace, Name string }
		}
	}
	if err := json.Unmarshal(r.Request, &request); err != nil {
		return "", "", err
	}
	metadata := request.Object.Metadata
	if metadata.Name == "" {
		return "", "", errors.New("the request has no object")
	}
	return metadata.Namespace, metadata.Name, nil
}
