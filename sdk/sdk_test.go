package sdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// request is an encoded request with these members besides the object.
func request(members string) []byte {
	return []byte(`{"controller": "test", "object": {
		"apiVersion": "example.com/v1", "kind": "Greeting",
		"metadata": {"name": "a", "namespace": "default", "uid": "u1", "generation": 3, "labels": {"l": "v"},
			"creationTimestamp": "2026-01-02T03:04:05Z", "ownerReferences": [{"kind": "Owner", "uid": "u0", "controller": true}]},
		"spec": {"text": "hello", "unknown": true}}` + members + `}`)
}

type greeting struct {
	sdk.Object
	Spec struct {
		Text string `json:"text"`
	} `json:"spec"`
}

// handle calls reconcile with an encoded request, as the host does.
func handle[T any](data []byte, reconcile func(*sdk.Request[T]) (*sdk.Response, error)) (string, error) {
	response, err := sdk.NewHandler(reconcile)(data)
	return string(response), err
}

func TestRequest(t *testing.T) {
	var got *sdk.Request[greeting]
	_, err := handle(request(`, "finalizing": true, "now": "2026-02-03T04:05:06Z"`), func(req *sdk.Request[greeting]) (*sdk.Response, error) {
		got = req
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantMeta := sdk.Meta{
		APIVersion: "example.com/v1", Kind: "Greeting", Name: "a", Namespace: "default", UID: "u1", Generation: 3,
		Labels:            map[string]string{"l": "v"},
		CreationTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		OwnerReferences:   []sdk.OwnerReference{{Kind: "Owner", UID: "u0", Controller: true}},
	}
	if diff := cmp.Diff(wantMeta, got.Meta); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	if got.Object.Spec.Text != "hello" || got.Object.Metadata.Name != "a" {
		t.Errorf("object: got %+v", got.Object)
	}
	if got.Controller != "test" || !got.Finalizing || !got.Now.Equal(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)) {
		t.Errorf("request: got %+v", got)
	}
}

func TestRequestFaults(t *testing.T) {
	cases := map[string]struct {
		data         string
		wantTerminal bool
	}{
		"no JSON":                    {`hello`, false},
		"a time that is none":        {string(request(`, "now": "noon"`)), false},
		"an object of another shape": {`{"object": {"kind": "Greeting", "spec": {"text": 1}}}`, true},
		"metadata of another shape":  {`{"object": {"metadata": {"name": 1}}}`, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := handle([]byte(tc.data), func(*sdk.Request[greeting]) (*sdk.Response, error) {
				t.Error("reconcile is called with a request that cannot be understood")
				return nil, nil
			})
			if err == nil || sdk.IsTerminal(err) != tc.wantTerminal {
				t.Errorf("want an error that is terminal: %t, got %v", tc.wantTerminal, err)
			}
		})
	}
}

func TestLookups(t *testing.T) {
	data := request(`, "children": {
			"ConfigMap.v1": {
				"default/b": {"metadata": {"name": "b"}}, "default/a": {"metadata": {"name": "a"}},
				"default-x/c": {"metadata": {"name": "c"}}, "odd/d": {"metadata": {"name": "d"}}
			},
			"ClusterRole.rbac.authorization.k8s.io/v1": {"r": {"metadata": {"name": "r"}}},
			"Secret.v1": {}, "Broken.v1": {"default/x": {"metadata": 1}}
		}, "related": {"Pod.v1": {"default/p": {"metadata": {"name": "p"}}}}`)
	type object struct {
		Metadata sdk.Meta `json:"metadata"`
	}
	type find func(req *sdk.Request[greeting]) (object, bool, error)
	child := func(apiVersion, kind, name string) find {
		return func(req *sdk.Request[greeting]) (object, bool, error) {
			return sdk.Child[object](req, apiVersion, kind, name)
		}
	}
	related := func(kind, name string) find {
		return func(req *sdk.Request[greeting]) (object, bool, error) {
			return sdk.RelatedObject[object](req, "v1", kind, name)
		}
	}
	cases := map[string]struct {
		find      find
		wantName  string
		wantError bool
	}{
		"in the object's namespace":            {find: child("v1", "ConfigMap", "a"), wantName: "a"},
		"in another namespace":                 {find: child("v1", "ConfigMap", "odd/d"), wantName: "d"},
		"cluster-scoped":                       {find: child("rbac.authorization.k8s.io/v1", "ClusterRole", "r"), wantName: "r"},
		"not there":                            {find: child("v1", "ConfigMap", "x")},
		"none of its kind there":               {find: child("v1", "Secret", "a")},
		"a kind that is not declared":          {find: child("v1", "Pod", "a"), wantError: true},
		"a version that is not declared":       {find: child("v2", "ConfigMap", "a"), wantError: true},
		"of another shape":                     {find: child("v1", "Broken", "x"), wantError: true},
		"related":                              {find: related("Pod", "p"), wantName: "p"},
		"related, of a kind not yet asked for": {find: related("Node", "n")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := handle(data, func(req *sdk.Request[greeting]) (*sdk.Response, error) {
				got, found, err := tc.find(req)
				if got.Metadata.Name != tc.wantName || found != (tc.wantName != "") {
					t.Errorf("want %q, got %q, found: %t", tc.wantName, got.Metadata.Name, found)
				}
				return nil, err
			})
			if (err != nil) != tc.wantError || sdk.IsTerminal(err) != tc.wantError {
				t.Errorf("want a terminal error: %t, got %v", tc.wantError, err)
			}
		})
	}
	t.Run("all, in order", func(t *testing.T) {
		_, err := handle(data, func(req *sdk.Request[greeting]) (*sdk.Response, error) {
			children, err := sdk.Children[object](req, "v1", "ConfigMap")
			var got []string
			for _, child := range children {
				got = append(got, child.Metadata.Name)
			}
			if diff := cmp.Diff([]string{"a", "b", "c", "d"}, got); diff != "" {
				t.Errorf("children (-want +got):\n%s", diff)
			}
			return nil, err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestDecodeSettings(t *testing.T) {
	type settings struct {
		Domain   string `json:"domain"`
		Replicas int    `json:"replicas"`
	}
	cases := map[string]struct {
		members   string
		want      settings
		wantError bool
	}{
		"none at all":        {``, settings{Replicas: 2}, false},
		"empty":              {`, "settings": {}`, settings{Replicas: 2}, false},
		"one":                {`, "settings": {"domain": "example.com"}`, settings{"example.com", 2}, false},
		"all":                {`, "settings": {"domain": "example.com", "replicas": 5}`, settings{"example.com", 5}, false},
		"a spelling mistake": {`, "settings": {"domian": "example.com"}`, settings{Replicas: 2}, true},
		"of another type":    {`, "settings": {"replicas": "five"}`, settings{Replicas: 2}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := handle(request(tc.members), func(req *sdk.Request[map[string]any]) (*sdk.Response, error) {
				got := settings{Replicas: 2}
				err := req.DecodeSettings(&got)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("settings (-want +got):\n%s", diff)
				}
				return nil, err
			})
			if sdk.IsTerminal(err) != tc.wantError {
				t.Errorf("want a terminal error: %t, got %v", tc.wantError, err)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	type child struct {
		sdk.Object
		Data map[string]string `json:"data,omitempty"`
	}
	cases := map[string]struct {
		response *sdk.Response
		want     string
	}{
		"nil is no opinion":         {nil, `{}`},
		"the zero response too":     {&sdk.Response{}, `{}`},
		"no child should exist":     {new(sdk.Response).Own(), `{"children":[]}`},
		"an empty list of children": {new(sdk.Response).Own([]any(nil)...), `{"children":[]}`},
		"children in their order": {
			new(sdk.Response).Own(child{Object: sdk.NewObject("v1", "ConfigMap", "b"), Data: map[string]string{"z": "<&>", "a": "é"}}).
				Own(&child{Object: sdk.NewObject("v1", "ConfigMap", "a")}, map[string]any{"kind": "X"}),
			`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"data":{"a":"é","z":"<&>"}},` +
				`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},{"kind":"X"}]}`,
		},
		"everything else": {
			(&sdk.Response{
				Keep:         []sdk.Reference{{APIVersion: "v1", Kind: "ConfigMap", Name: "old"}},
				Status:       map[string]any{"b": 1, "a": nil},
				Related:      []sdk.Related{{APIVersion: "v1", Kind: "Secret", Names: []string{}}},
				RequeueAfter: 90 * time.Second,
				Finalized:    true,
			}).SetLabel("new", "1").RemoveLabel("old").SetAnnotation("n", "").RemoveAnnotation("o").
				Eventf(sdk.EventWarning, "Slow", "took %d s", 3),
			`{"keep":[{"apiVersion":"v1","kind":"ConfigMap","name":"old"}],"status":{"a":null,"b":1},` +
				`"labels":{"new":"1","old":null},"annotations":{"n":"","o":null},` +
				`"related":[{"apiVersion":"v1","kind":"Secret","names":[]}],"requeueAfter":"1m30s","finalized":true,` +
				`"events":[{"type":"Warning","reason":"Slow","message":"took 3 s"}]}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := handle(request(""), func(*sdk.Request[greeting]) (*sdk.Response, error) { return tc.response, nil })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("no such colour")
	cases := map[string]struct {
		reconcile    func(*sdk.Request[greeting]) (*sdk.Response, error)
		want         string
		wantTerminal bool
	}{
		"an error": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) { return new(sdk.Response).Own(), cause },
			"no such colour", false,
		},
		"a terminal error": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) { return nil, sdk.Terminal(cause) },
			"no such colour", true,
		},
		"a terminal error within another": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) {
				return nil, fmt.Errorf("cannot paint: %w", sdk.Terminalf("%w: mauve", cause))
			},
			"cannot paint: no such colour: mauve", true,
		},
		"a panic": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) { panic("out of paint") },
			"panic: out of paint", false,
		},
		"a nil dereference": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) { var o *sdk.Object; return nil, errors.New(o.Kind) },
			"panic: runtime error: invalid memory address or nil pointer dereference", false,
		},
		"a response without an encoding": {
			func(*sdk.Request[greeting]) (*sdk.Response, error) { return new(sdk.Response).Own(func() {}), nil },
			"cannot encode the response: json: unsupported type: func()", true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			response, err := handle(request(""), tc.reconcile)
			if err == nil || err.Error() != tc.want || sdk.IsTerminal(err) != tc.wantTerminal {
				t.Errorf("want %q, terminal: %t, got %v", tc.want, tc.wantTerminal, err)
			}
			if response != "" {
				t.Errorf("want no response beside an error, got %s", response)
			}
		})
	}
	if err := sdk.Terminal(nil); err != nil {
		t.Errorf("Terminal(nil): want nil, got %v", err)
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("long-", 30)
	cases := map[string]struct {
		parts []string
		want  string
	}{
		"short":                  {[]string{"viewer", "a"}, "viewer-a"},
		"63 characters":          {[]string{strings.Repeat("x", 61), "y"}, strings.Repeat("x", 61) + "-y"},
		"64 characters":          {[]string{strings.Repeat("x", 62), "y"}, strings.Repeat("x", 52) + "-cb3d9d1861"},
		"a cut at a hyphen":      {[]string{long, "a"}, "long-long-long-long-long-long-long-long-long-long-lo-68adee10e6"},
		"the same, another name": {[]string{long, "b"}, "long-long-long-long-long-long-long-long-long-long-lo-7ab4278294"},
		"dots":                   {[]string{"viewer", "a.b"}, "viewer-a-b-e66e952bfc"},
		"capitals":               {[]string{"Viewer", "A"}, "viewer-a-59867a4f38"},
		"nothing usable":         {[]string{"日本"}, "1230c55089"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sdk.Name(tc.parts...)
			if got != tc.want {
				t.Errorf("want %s, got %s", tc.want, got)
			}
			if len(got) > 63 {
				t.Errorf("%s has %d characters", got, len(got))
			}
		})
	}
}

func TestLabels(t *testing.T) {
	want := map[string]string{
		"app.kubernetes.io/name": "book", "app.kubernetes.io/instance": strings.Repeat("x", 52) + "-6a5defddb7", "tier": "gold",
	}
	got := sdk.MergeLabels(map[string]string{"tier": "tin"}, sdk.AppLabels("book", strings.Repeat("x", 64)), map[string]string{"tier": "gold"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	shared := sdk.NewObject("v1", "ConfigMap", "a").WithLabels(map[string]string{"a": "1"})
	_ = shared.WithLabels(map[string]string{"b": "2"})
	if diff := cmp.Diff(map[string]string{"a": "1"}, shared.Metadata.Labels); diff != "" {
		t.Errorf("WithLabels changes the labels of the object that it is called on (-want +got):\n%s", diff)
	}
}

func TestConditions(t *testing.T) {
	var conditions []sdk.Condition
	sdk.SetCondition(&conditions, sdk.Condition{Type: "Available", Status: sdk.False, LastTransitionTime: "2026-01-02T03:04:05Z"})
	sdk.SetCondition(&conditions, sdk.Condition{Type: "Degraded", Status: sdk.StatusOf(true)})
	sdk.SetCondition(&conditions, sdk.Condition{Type: "Available", Status: sdk.True, Reason: "Up"})

	want := []sdk.Condition{{Type: "Available", Status: sdk.True, Reason: "Up"}, {Type: "Degraded", Status: sdk.True}}
	if diff := cmp.Diff(want, conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if !sdk.ConditionIs(conditions, "Available", sdk.True) || sdk.ConditionIs(conditions, "Missing", sdk.Unknown) {
		t.Error("ConditionIs does not tell what holds from what is missing")
	}
	encoded, err := json.Marshal(conditions[1])
	if want := `{"type":"Degraded","status":"True","reason":"","message":""}`; err != nil || string(encoded) != want {
		t.Errorf("want %s, got %s (%v)", want, encoded, err)
	}
}

func TestField(t *testing.T) {
	object := map[string]any{"spec": map[string]any{"name": "a", "count": float64(3), "ratio": 0.5, "list": []any{"x"}, "none": nil}}
	text, ok := sdk.Field[string](object, "spec", "name")
	check(t, "text", "a", text, ok)
	count, ok := sdk.Field[int](object, "spec", "count")
	check(t, "a whole number", 3, count, ok)
	wide, ok := sdk.Field[int64](object, "spec", "count")
	check(t, "a wide number", int64(3), wide, ok)
	narrow, ok := sdk.Field[int32](object, "spec", "count")
	check(t, "a narrow number", int32(3), narrow, ok)
	number, ok := sdk.Field[float64](object, "spec", "count")
	check(t, "any number", float64(3), number, ok)
	list, ok := sdk.Field[[]any](object, "spec", "list")
	check(t, "a list", []any{"x"}, list, ok)
	for _, path := range [][]string{{"spec", "ratio"}, {"spec", "missing"}, {"spec", "name", "deeper"}, {"spec", "none"}} {
		if got, ok := sdk.Field[int](object, path...); ok {
			t.Errorf("%v: want nothing, got %d", path, got)
		}
	}
}

func check[V any](t *testing.T, name string, want, got V, ok bool) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%s: found: %t (-want +got):\n%s", name, ok, diff)
	}
}

// A terminal error and a plain one must be told apart by the host, also when they travel as text.
func TestTerminalPrefix(t *testing.T) {
	if !strings.HasPrefix(abi.TerminalPrefix, "terminal") {
		t.Errorf("the prefix of terminal errors is part of the contract, and is now %q", abi.TerminalPrefix)
	}
}
