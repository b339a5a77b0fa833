package sdk

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/hostcall"
)

// In the command tier an error is a response, so that it can be terminal.
func TestServe(t *testing.T) {
	cases := map[string]struct {
		handle Handler
		want   string
	}{
		"a response":       {func(request []byte) ([]byte, error) { return request, nil }, `{"status":{}}`},
		"an error":         {func([]byte) ([]byte, error) { return nil, errors.New("broken") }, `{"error":{"message":"broken"}}`},
		"a terminal error": {func([]byte) ([]byte, error) { return nil, Terminalf("broken") }, `{"error":{"message":"broken","terminal":true}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout bytes.Buffer
			if err := serve(tc.handle, strings.NewReader(`{"status":{}}`), &stdout); err != nil {
				t.Fatal(err)
			}
			if stdout.String() != tc.want {
				t.Errorf("want %s, got %s", tc.want, stdout.String())
			}
			if _, err := abi.DecodeResponse(stdout.Bytes()); err != nil {
				t.Errorf("the host refuses it: %v", err)
			}
		})
	}
}

// In the reactor tier an error is a message, and a terminal one has a prefix.
func TestErrorMessage(t *testing.T) {
	if got, want := errorMessage(Terminalf("broken")), "terminal: broken"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got, want := errorMessage(errors.New("broken")), "broken"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestRegister(t *testing.T) {
	defer func() { registered = nil }()
	if _, err := Registered()(nil); err == nil {
		t.Error("a module without a function answers")
	}
	reconcile := func(*Request[map[string]any]) (*Response, error) { return nil, nil }
	Register(reconcile)
	if _, err := Registered()([]byte(`{"object": {}}`)); err != nil {
		t.Errorf("the registered function is not called: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second function is registered without a word")
		}
	}()
	Register(reconcile)
}

func TestLog(t *testing.T) {
	type line struct {
		Level abi.Level
		Text  string
	}
	var got []line
	defer hostcall.Capture(func(level abi.Level, text []byte) { got = append(got, line{level, string(text)}) })()

	Log.Debug("plain")
	Log.Info("fields in their order", "z", 1, "a", "<é>\n", "list", []string{"x"}, "none", nil)
	Log.Warn("odd", "key")
	Log.Error("values of all sorts", "err", errors.New("broken"), "func", make(chan int) == nil, 7, struct{ A int }{1}, "msg", "x")
	with := Log.With("a", 1)
	with.With("b", 2).Info("both")
	with.With("c", 3).Info("the other")
	Log.Info("no form in JSON", "complex", 1i)

	want := []line{
		{abi.LevelDebug, `{"msg":"plain"}`},
		{abi.LevelInfo, `{"msg":"fields in their order","z":1,"a":"<é>\n","list":["x"],"none":null}`},
		{abi.LevelWarn, `{"msg":"odd","key":null}`},
		{abi.LevelError, `{"msg":"values of all sorts","err":"broken","func":false,"7":{"A":1},"msg_":"x"}`},
		{abi.LevelInfo, `{"msg":"both","a":1,"b":2}`},
		{abi.LevelInfo, `{"msg":"the other","a":1,"c":3}`},
		{abi.LevelInfo, `{"msg":"no form in JSON","complex":"(0+1i)"}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
