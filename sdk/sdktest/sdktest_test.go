package sdktest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

type request = sdk.Request[map[string]any]

// object is what the tests reconcile.
func object(members string) json.RawMessage {
	return json.RawMessage(`{"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": {"name": "a", "namespace": "default",
		"resourceVersion": "7", "managedFields": []}` + members + `}`)
}

// configMaps declares the one kind that the tests own.
var configMaps = []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}}

// fatals records whether a test would have failed, and why.
type fatals struct {
	testing.TB
	message string
}

func (f *fatals) Helper() {}

func (f *fatals) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	runtime.Goexit()
}

func (f *fatals) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// failure returns why a test function fails, or "".
func failure(test func(tb *fatals)) string {
	f := &fatals{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	return f.message
}

func TestWire(t *testing.T) {
	var got string
	handle := func(data []byte) ([]byte, error) {
		got = string(data)
		return []byte(`{}`), nil
	}
	sdktest.Reconcile(t, handle, sdktest.Request{
		Object:     object(`, "spec": {"large": 9007199254740993}`),
		Children:   []any{sdk.NewObject("v1", "ConfigMap", "cluster-scoped")},
		Owns:       []sdktest.Kind{{APIVersion: "apps/v1", Kind: "Deployment"}},
		Related:    []any{json.RawMessage(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "other"}}`)},
		Finalizing: true,
		Settings:   map[string]int{"n": 1},
		Now:        time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	})
	want := `{"controller":"test",` +
		`"object":{"apiVersion":"example.com/v1","kind":"Greeting","metadata":{"name":"a","namespace":"default"},"spec":{"large":9007199254740993}},` +
		`"children":{"ConfigMap.v1":{"cluster-scoped":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cluster-scoped"}}},"Deployment.apps/v1":{}},` +
		`"related":{"Secret.v1":{"other/s":{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"other"}}}},` +
		`"finalizing":true,"settings":{"n":1},"now":"2026-01-02T03:04:05Z"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// Whatever the host would refuse must fail a test too.
func TestReconcileRefuses(t *testing.T) {
	answer := func(response string) sdk.Handler {
		return func([]byte) ([]byte, error) { return []byte(response), nil }
	}
	calls := 0
	cases := map[string]struct {
		handle sdk.Handler
		want   string
	}{
		"an unknown field":     {answer(`{"childs": []}`), "childs: unknown field"},
		"a child twice":        {answer(`{"children": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "default"}}]}`), "children[1]"},
		"a kind not declared":  {answer(`{"children": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}]}`), "kind Secret.v1"},
		"a requeue, no clock":  {answer(`{"requeueAfter": "5s"}`), "requeueAfter"},
		"an error":             {func([]byte) ([]byte, error) { return nil, errors.New("broken") }, "broken"},
		"an error as response": {answer(`{"error": {"message": "broken"}}`), "broken"},
		"another answer every time": {func([]byte) ([]byte, error) {
			calls++
			return fmt.Appendf(nil, `{"status": {"calls": %d}}`, calls), nil
		}, "two responses"},
		"an error every other time": {func([]byte) ([]byte, error) {
			if calls++; calls%2 == 0 {
				return nil, errors.New("broken")
			}
			return []byte(`{}`), nil
		}, "broken"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := failure(func(tb *fatals) {
				sdktest.Reconcile(tb, tc.handle, sdktest.Request{Object: object(""), Owns: configMaps})
			})
			if !strings.Contains(got, tc.want) {
				t.Errorf("want a failure with %q, got %q", tc.want, got)
			}
		})
	}
}

func TestReconcileError(t *testing.T) {
	handle := sdk.NewHandler(func(*request) (*sdk.Response, error) { return nil, sdk.Terminalf("no such colour") })
	if err := sdktest.ReconcileError(t, handle, sdktest.Request{Object: object("")}); !sdk.IsTerminal(err) {
		t.Errorf("want a terminal error, got %v", err)
	}
	for name, response := range map[string]string{"no error": `{}`, "nonsense": `{"childs": []}`} {
		t.Run(name, func(t *testing.T) {
			got := failure(func(tb *fatals) {
				handle := func([]byte) ([]byte, error) { return []byte(response), nil }
				err := sdktest.ReconcileError(tb, handle, sdktest.Request{Object: object("")})
				t.Errorf("the test goes on with %v", err)
			})
			if got == "" {
				t.Error("a response passes for an error of the module")
			}
		})
	}
}

func TestSettle(t *testing.T) {
	// A ConfigMap that says how long the label is, and a status that says what the ConfigMap says: three calls to rest.
	handle := sdk.NewHandler(func(req *request) (*sdk.Response, error) {
		config, found, err := sdk.Child[map[string]any](req, "v1", "ConfigMap", "b")
		said, _ := sdk.Field[string](config, "data", "said")
		note, _ := sdk.Field[string](config, "data", "note")
		resp := &sdk.Response{Status: map[string]any{"found": found, "said": said, "note": note, "label": req.Labels["l"]}}
		resp.Own(map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "b"}, "data": map[string]any{"said": "x"},
		})
		return resp.SetLabel("l", "v").RemoveLabel("old"), err
	})
	kept := json.RawMessage(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "default"}, "data": {"note": "n"}}`)
	got := sdktest.Settle(t, handle, sdktest.Request{Object: object(""), Children: []any{kept}})
	want := abi.Object{"found": true, "said": "x", "note": "n", "label": "v"}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status at rest (-want +got):\n%s", diff)
	}
}

func TestSettleDrops(t *testing.T) {
	// What is neither desired nor kept is gone in the next call.
	handle := sdk.NewHandler(func(req *request) (*sdk.Response, error) {
		children, err := sdk.Children[sdk.Object](req, "v1", "ConfigMap")
		resp := &sdk.Response{Status: map[string]any{"children": len(children)}}
		resp.Keep = []sdk.Reference{{APIVersion: "v1", Kind: "ConfigMap", Name: "kept"}}
		return resp.Own(), err
	})
	observed := func(name string) any {
		return json.RawMessage(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "` + name + `", "namespace": "default"}}`)
	}
	got := sdktest.Settle(t, handle, sdktest.Request{Object: object(""), Children: []any{observed("kept"), observed("gone")}})
	if diff := cmp.Diff(abi.Object{"children": int64(1)}, got.Status); diff != "" {
		t.Errorf("status at rest (-want +got):\n%s", diff)
	}
}

func TestSettleRefuses(t *testing.T) {
	handle := sdk.NewHandler(func(req *request) (*sdk.Response, error) {
		count, _ := sdk.Field[int](req.Object, "status", "count")
		return &sdk.Response{Status: map[string]any{"count": count + 1}}, nil
	})
	got := failure(func(tb *fatals) { sdktest.Settle(tb, handle, sdktest.Request{Object: object("")}) })
	if !strings.Contains(got, "does not come to rest") {
		t.Errorf("a counter comes to rest: %q", got)
	}
}

func TestLookups(t *testing.T) {
	handle := func([]byte) ([]byte, error) {
		return []byte(`{"children": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "other"}}]}`), nil
	}
	response := sdktest.Reconcile(t, handle, sdktest.Request{Object: object(""), Owns: configMaps})
	for _, name := range []string{"b", "other/b"} {
		if got := sdktest.Child[sdk.Object](t, response, "ConfigMap", name); got.Metadata.Namespace != "other" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for name, test := range map[string]func(tb *fatals){
		"no such child": func(tb *fatals) { sdktest.Child[sdk.Object](tb, response, "ConfigMap", "c") },
		"no status":     func(tb *fatals) { sdktest.Status[struct{}](tb, response) },
	} {
		t.Run(name, func(t *testing.T) {
			if failure(test) == "" {
				t.Error("a lookup finds what is not there")
			}
		})
	}
}
