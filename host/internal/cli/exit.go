package cli

import "errors"

// The exit codes of commands that call modules.
const (
	exitModule   = 2 // the module failed
	exitProtocol = 3 // its answer is not as the protocol has it
)

// codedError is an error with an exit code of its own.
type codedError struct {
	error
	code int
}

// Unwrap returns the error underneath.
func (e *codedError) Unwrap() error { return e.error }

// exitCodeOf returns the exit code for an error.
func exitCodeOf(err error) int {
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	return exitError
}
