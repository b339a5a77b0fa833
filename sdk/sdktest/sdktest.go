// Package sdktest tests a module natively, with requests and responses that travel as they do between host and module.
//
//	func TestReconcile(t *testing.T) {
//		got := sdktest.Reconcile(t, sdk.NewHandler(reconcile), sdktest.Request{
//			Object: Greeting{...},
//			Owns:   []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}},
//		})
//		config := sdktest.Child[ConfigMap](t, got, "ConfigMap", "greeting-a")
//		...
//	}
//
// Every call is made twice, and a test fails if the answers differ: a reconcile is a pure function.
package sdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/hostcall"
)

// Request is what a test gives to a module. Objects are structs, maps, or JSON as a json.RawMessage.
type Request struct {
	// Object is the reconciled object.
	Object any
	// Children are the observed children.
	Children []any
	// Owns are the kinds of children that the controller's config declares. The kinds of Children are declared too. A
	// response with a child of any other kind fails the test, as it fails in the host.
	Owns []Kind
	// Related are the related objects.
	Related []any
	// Finalizing makes the request one for an object that is being deleted, or not selected any more.
	Finalizing bool
	// Settings are the controller's settings.
	Settings any
	// Now is the time of the call. Leave it zero for a controller without a clock.
	Now time.Time
	// Controller is the controller's name. Default: "test".
	Controller string
}

// Kind is a kind of the controller's config.
type Kind struct {
	APIVersion string
	Kind       string
}

// Response is a module's answer, decoded as strictly as the host does.
type Response struct {
	abi.Response
	// Raw is the answer as it travels.
	Raw []byte
	// Logs are the log lines of one call.
	Logs []LogLine
}

// LogLine is one line that a module logged.
type LogLine struct {
	Level abi.Level
	// Message is the line's text.
	Message string
	// Fields are the line's keys and values as JSON has them: numbers are float64, lists []any.
	Fields map[string]any
}

// Reconcile calls a module and returns its response. Anything that the host would refuse fails the test, and so does an
// error of the module.
func Reconcile(tb testing.TB, handle sdk.Handler, request Request) *Response {
	tb.Helper()
	response, err := call(handle, request)
	if err != nil {
		tb.Fatalf("reconcile: %v", err)
	}
	return response
}

// ReconcileError calls a module that is expected to return an error, and returns that. sdk.IsTerminal tells of what
// sort it is. It fails the test if the module responds.
func ReconcileError(tb testing.TB, handle sdk.Handler, request Request) error {
	tb.Helper()
	response, err := call(handle, request)
	if err == nil {
		tb.Fatalf("reconcile: want an error, got the response %s", response.Raw)
	}
	if _, refused := errors.AsType[*refusedError](err); refused {
		tb.Fatalf("reconcile: want an error of the module, but %v", err)
	}
	return err
}

// refusedError says that the module did respond, with something that the host refuses.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "the host refuses the response: " + e.err.Error() }

func refusedf(format string, args ...any) error {
	return &refusedError{err: fmt.Errorf(format, args...)}
}

func call(handle sdk.Handler, request Request) (*Response, error) {
	encoded, err := encodeRequest(request)
	if err != nil {
		return nil, err
	}
	raw, logs, err := callPurely(handle, encoded)
	if err != nil {
		return nil, err
	}
	response, err := abi.DecodeResponse(raw)
	if err != nil {
		return nil, refusedf("%w\n%s", err, raw)
	}
	if response.Error != nil {
		return nil, moduleError(response.Error)
	}
	if err := check(response, request); err != nil {
		return nil, err
	}
	return &Response{Response: *response, Raw: raw, Logs: logs}, nil
}

// moduleError is an error that travels within a response, as that of a command does.
func moduleError(e *abi.Error) error {
	if e.Terminal {
		return sdk.Terminalf("%s", e.Message)
	}
	return errors.New(e.Message)
}

// callPurely calls twice, with a copy of the request each, and compares.
func callPurely(handle sdk.Handler, request []byte) ([]byte, []LogLine, error) {
	raw, logs, err := callOnce(handle, request)
	again, _, errAgain := callOnce(handle, request)
	if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
		return nil, nil, refusedf("the same request gave the error %w, then %w", err, errAgain)
	}
	if !bytes.Equal(raw, again) {
		return nil, nil, refusedf("the same request gave two responses: is a map ranged over?\n%s\n%s", raw, again)
	}
	return raw, logs, err
}

func callOnce(handle sdk.Handler, request []byte) (raw []byte, logs []LogLine, err error) {
	restore := hostcall.Capture(func(level abi.Level, line []byte) {
		logs = append(logs, decodeLog(level, line))
	})
	defer restore()
	raw, err = handle(bytes.Clone(request))
	return raw, logs, err
}

func decodeLog(level abi.Level, line []byte) LogLine {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return LogLine{Level: level, Message: string(line)}
	}
	message, _ := fields["msg"].(string)
	delete(fields, "msg")
	return LogLine{Level: level, Message: message, Fields: fields}
}

// check refuses what the host refuses in a response that is well-formed by itself.
func check(response *abi.Response, request Request) error {
	object, err := toObject(request.Object)
	if err != nil {
		return err
	}
	if err := response.CheckChildren(object.Reference()); err != nil {
		return &refusedError{err}
	}
	kinds, err := declared(request)
	if err != nil {
		return err
	}
	for i, child := range response.Children {
		ref := child.Reference()
		if !slices.Contains(kinds, Kind{ref.APIVersion, ref.Kind}) {
			return refusedf("children[%d]: kind %s is not among the request's Owns", i, abi.KindKey(ref.APIVersion, ref.Kind))
		}
	}
	if response.RequeueAfter > 0 && request.Now.IsZero() {
		return refusedf("requeueAfter: needs a clock; set the request's Now")
	}
	return nil
}

// declared returns the kinds that are declared by name or by an observed child.
func declared(request Request) ([]Kind, error) {
	kinds := slices.Clone(request.Owns)
	for _, child := range request.Children {
		object, err := toObject(child)
		if err != nil {
			return nil, err
		}
		ref := object.Reference()
		kinds = append(kinds, Kind{ref.APIVersion, ref.Kind})
	}
	return kinds, nil
}

func encodeRequest(request Request) ([]byte, error) {
	object, err := toWire(request.Object)
	if err != nil {
		return nil, err
	}
	wire := abi.Request{
		Controller: request.Controller, Object: object, Finalizing: request.Finalizing,
		Children: abi.Objects{}, Related: abi.Objects{},
	}
	if wire.Controller == "" {
		wire.Controller = "test"
	}
	if !request.Now.IsZero() {
		wire.Now = request.Now.UTC().Format(time.RFC3339)
	}
	for _, kind := range request.Owns {
		wire.Children[abi.KindKey(kind.APIVersion, kind.Kind)] = map[string]json.RawMessage{}
	}
	if err := errors.Join(addAll(wire.Children, request.Children), addAll(wire.Related, request.Related)); err != nil {
		return nil, err
	}
	if request.Settings != nil {
		if wire.Settings, err = json.Marshal(request.Settings); err != nil {
			return nil, fmt.Errorf("cannot encode the settings: %w", err)
		}
	}
	return wire.AppendJSON(nil), nil
}

func addAll(objects abi.Objects, list []any) error {
	for _, item := range list {
		object, err := toObject(item)
		if err != nil {
			return err
		}
		data, err := toWire(item)
		if err != nil {
			return err
		}
		ref := object.Reference()
		key := abi.KindKey(ref.APIVersion, ref.Kind)
		if objects[key] == nil {
			objects[key] = map[string]json.RawMessage{}
		}
		objects[key][abi.NameKey(ref.Namespace, ref.Name)] = data
	}
	return nil
}

// toWire encodes an object as the host does: without managedFields and resourceVersion, its keys sorted.
func toWire(item any) (json.RawMessage, error) {
	object, err := toObject(item)
	if err != nil {
		return nil, err
	}
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
		delete(metadata, "resourceVersion")
	}
	return json.Marshal(object)
}

func toObject(item any) (abi.Object, error) {
	data, err := json.Marshal(item)
	if err != nil {
		return nil, fmt.Errorf("cannot encode an object of type %T: %w", item, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a large number stays what it is
	var object abi.Object
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("cannot decode an object of type %T: %w", item, err)
	}
	if ref := object.Reference(); ref.APIVersion == "" || ref.Kind == "" || ref.Name == "" {
		return nil, fmt.Errorf("an object of type %T needs apiVersion, kind and metadata.name: %s", item, data)
	}
	return object, nil
}

// Child returns the desired child of this kind and name, decoded as a C. The name may be "namespace/name". It fails the
// test if there is none, or if it does not fit C.
func Child[C any](tb testing.TB, response *Response, kind, name string) C {
	tb.Helper()
	var child C
	for _, object := range response.Children {
		ref := object.Reference()
		if ref.Kind == kind && (ref.Name == name || abi.NameKey(ref.Namespace, ref.Name) == name) {
			convert(tb, ref.String(), object, &child)
			return child
		}
	}
	tb.Fatalf("no child %s %s; there are: %s", kind, name, strings.Join(Names(response), ", "))
	return child
}

// Status returns the desired status, decoded as an S. It fails the test if there is none, or if it does not fit S.
func Status[S any](tb testing.TB, response *Response) S {
	tb.Helper()
	var status S
	if response.Status == nil {
		tb.Fatal("the response has no status")
	}
	convert(tb, "the status", response.Status, &status)
	return status
}

func convert(tb testing.TB, what string, from abi.Object, into any) {
	tb.Helper()
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		tb.Fatalf("cannot decode %s as a %T: %v", what, into, err)
	}
}

// Names returns the desired children as "Kind name" or "Kind namespace/name", in the response's order. It is nil if the
// response has no opinion on its children, and empty if there should be none.
func Names(response *Response) []string {
	if response.Children == nil {
		return nil
	}
	names := make([]string, len(response.Children))
	for i, child := range response.Children {
		names[i] = child.Reference().String()
	}
	return names
}
