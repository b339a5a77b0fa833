package sdk

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// Handler is a reconcile function in its wire form: from an encoded request to an encoded response. Register makes one
// and keeps it; it is of use by itself in tests and for glue of one's own. The request must not be changed afterwards.
type Handler func(request []byte) (response []byte, err error)

// registered is the module's handler. It is set in init and only read afterwards.
var registered Handler

// Register makes reconcile the function that the host calls. Call it once, in init.
//
// T is the type of the reconciled object: map[string]any, or a struct with the fields that the module needs, usually
// one that embeds Object. Fields of the object that T does not have are passed over. A nil response is an empty one: no
// opinion on anything. When the function returns an error, or panics, nothing is applied and nothing pruned, and the
// host tries again later, unless the error is terminal (see Terminal).
func Register[T any](reconcile func(*Request[T]) (*Response, error)) {
	if registered != nil {
		panic("sdk.Register is called twice; a module has one reconcile function")
	}
	registered = NewHandler(reconcile)
}

// Registered returns the handler of the function that was given to Register. If there is none, the handler says so.
func Registered() Handler {
	if registered == nil {
		return func([]byte) ([]byte, error) {
			return nil, errors.New("no function is registered: call sdk.Register in an init function")
		}
	}
	return registered
}

// NewHandler returns reconcile in its wire form. A panic in reconcile becomes an error, and its stack goes to stderr.
func NewHandler[T any](reconcile func(*Request[T]) (*Response, error)) Handler {
	return func(data []byte) (encoded []byte, err error) {
		defer recovered(&err)
		req, err := decodeRequest[T](data)
		if err != nil {
			return nil, err
		}
		resp, err := reconcile(req)
		if err != nil {
			return nil, err
		}
		return resp.encode()
	}
}

// recovered turns a panic into an error. The stack goes to stderr, where the host finds it, rather than into the
// message, which becomes an event on the object.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v", cause)
		fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", cause, debug.Stack())
	}
}
