package guest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// LoadError says why a module cannot be run at all.
type LoadError struct {
	// Reason says what is wrong with the module, and where it can be said, what to do.
	Reason string
	// Cause is the error underneath, if there is one.
	Cause error
}

// Error returns the reason and its cause.
func (e *LoadError) Error() string {
	if e.Cause == nil {
		return "cannot load the module: " + e.Reason
	}
	return "cannot load the module: " + e.Reason + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Cause }

// Temporary says whether another try may end in another way: the machine was at fault, or the load was cancelled.
func (e *LoadError) Temporary() bool {
	if errors.Is(e.Cause, context.Canceled) || errors.Is(e.Cause, context.DeadlineExceeded) || isOfSystem(e.Cause) {
		return true
	}
	limit, ok := errors.AsType[*LimitError](e.Cause) // of fuel there is always the same
	return ok && limit.Limit == "timeout"
}

// isOfSystem says whether an error comes from the operating system.
func isOfSystem(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}

// LimitError says that a call was ended because it went over one of its Limits.
type LimitError struct {
	// Limit is the limit's name as in the config: memory, timeout, request, response.
	Limit string
	// Allowed is the limit, Used what the call asked for, both as a person would write them.
	Allowed, Used string
}

// Error names the limit and the amounts.
func (e *LimitError) Error() string {
	return fmt.Sprintf("module went over its %s limit: %s is allowed, it took %s", e.Limit, e.Allowed, e.Used)
}

// TrapError says that a module ended abnormally: a trap, a panic or an exit with another status than 0.
type TrapError struct {
	// Cause says what happened.
	Cause error
	// Output is the beginning of what the module wrote to stderr, where languages report their panics.
	Output string
}

// Error returns the module's own words where there are any, otherwise the cause.
func (e *TrapError) Error() string {
	cause := firstLine(e.Cause)
	if e.Output == "" {
		return "module trapped: " + cause
	}
	return "module trapped: " + cause + ": " + e.Output
}

// firstLine returns what an error from wazero says above the Wasm stack.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Unwrap returns the cause.
func (e *TrapError) Unwrap() error { return e.Cause }

// ModuleError is a failure that the module itself reported.
type ModuleError struct {
	// Message is the module's.
	Message string
	// IsTerminal is true if another try with the same request is of no use.
	IsTerminal bool
}

// Error returns the module's message.
func (e *ModuleError) Error() string { return "module failed: " + e.Message }

// Terminal says whether another try with the same request is of no use.
func (e *ModuleError) Terminal() bool { return e.IsTerminal }

// bytesText writes a number of bytes as a person would.
func bytesText(n uint64) string {
	const ki, mi = 1 << 10, 1 << 20
	switch {
	case n >= mi:
		return fmt.Sprintf("%.4g MiB", float64(n)/mi)
	case n >= ki:
		return fmt.Sprintf("%.4g KiB", float64(n)/ki)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
