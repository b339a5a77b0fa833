package sdk

import (
	"errors"
	"fmt"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// TerminalError is a failure that is not to be retried until the input changes.
type TerminalError struct {
	// Err is what went wrong.
	Err error
}

// Error returns the message of what went wrong.
func (e *TerminalError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *TerminalError) Unwrap() error { return e.Err }

// Terminal marks err as one that the same request would give again: the host reports it, and does not call the module
// for this object until something that the module can see has changed. Terminal(nil) is nil.
func Terminal(err error) error {
	if err == nil {
		return nil
	}
	return &TerminalError{Err: err}
}

// Terminalf is Terminal(fmt.Errorf(format, args...)).
func Terminalf(format string, args ...any) error {
	return Terminal(fmt.Errorf(format, args...))
}

// IsTerminal tells whether err, or an error that it wraps, is terminal.
func IsTerminal(err error) bool {
	var terminal *TerminalError
	return errors.As(err, &terminal)
}

// errorMessage is the form in which err travels to the host.
func errorMessage(err error) string {
	if IsTerminal(err) {
		return abi.TerminalPrefix + err.Error()
	}
	return err.Error()
}
