package reconcile

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// here puts the bench's namespace into an expected text.
func (b *bench) here(text string) string {
	return strings.ReplaceAll(text, "$NAMESPACE", b.name.Namespace)
}

// TestRequest compares a whole request with what was made before it.
func TestRequest(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: owns(secret, configMap, clusterRole), Settings: json.RawMessage(`{"z":1,"a":[2]}`)})
	b.edit(thing, b.name, func(object map[string]any) {
		object["metadata"].(map[string]any)["annotations"] = map[string]any{"theirs": "<&>"}
	})
	b.answer = `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"k":"v"}}]}`
	b.reconcileOnce()
	b.reconcileOnce()
	if len(b.requests) != 2 {
		t.Fatalf("got %d calls, want 2", len(b.requests))
	}
	var got, want any
	if err := json.Unmarshal(b.requests[1], &got); err != nil {
		t.Fatal(err)
	}
	uid := string(b.object.GetUID())
	child := &unstructured.Unstructured{}
	child.SetGroupVersionKind(configMap.GroupVersionKind)
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: b.name.Namespace, Name: "c"}, child); err != nil {
		t.Fatal(err)
	}
	wanted := `{"controller":"tester","object":{"apiVersion":"reconcile.test/v1","kind":"Thing","metadata":{` +
		`"annotations":{"theirs":"<&>"},"creationTimestamp":"` + b.object.GetCreationTimestamp().UTC().Format(time.RFC3339) + `",` +
		`"generation":1,"name":"a","namespace":"$NAMESPACE","uid":"` + uid + `"},"spec":{"size":1}},` +
		`"children":{"ClusterRole.rbac.authorization.k8s.io/v1":{},"ConfigMap.v1":{"$NAMESPACE/c":{"apiVersion":"v1","kind":"ConfigMap",` +
		`"metadata":{"creationTimestamp":"` + child.GetCreationTimestamp().UTC().Format(time.RFC3339) + `","name":"c","namespace":"$NAMESPACE",` +
		`"ownerReferences":[{"apiVersion":"reconcile.test/v1","controller":true,"kind":"Thing","name":"a","uid":"` + uid + `"}],` +
		`"uid":"` + string(child.GetUID()) + `"},"data":{"k":"v"}}},"Secret.v1":{}},` +
		`"related":{},"finalizing":false,"settings":{"z":1,"a":[2]}}`
	if err := json.Unmarshal([]byte(b.here(wanted)), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	for range 20 { // maps have another order each time
		observed, err := b.gather(t.Context(), b.observe(thing, b.name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(b.requests[1]), string(b.request(observed))); diff != "" {
			t.Fatalf("equal requests have equal bytes: -first +now:\n%s", diff)
		}
	}
}

// TestRequestNow tells only those the time that have a clock.
func TestRequestNow(t *testing.T) {
	for clock, want := range map[bool]string{true: "2026-01-02T12:00:00Z", false: ""} {
		b := newBench(t, Controller{For: thing, Clock: clock})
		b.reconcileOnce()
		request, err := abi.DecodeRequest(b.requests[0])
		if err != nil {
			t.Fatal(err)
		}
		if request.Now != want {
			t.Errorf("clock: %t: got %q, want %q", clock, request.Now, want)
		}
	}
}

// TestLogTo logs the lines of a module.
func TestLogTo(t *testing.T) {
	tests := map[string]struct {
		reason string
		level  abi.Level
		line   string
		want   string
	}{
		"text":             {"a line is a message", abi.LevelInfo, "hello", `{"level":0,"msg":"hello","source":"module"}`},
		"fields":           {"they are the log's own, in a fixed order", abi.LevelInfo, `{"msg":"hello","b":2,"a":{"c":1}}`, `{"level":0,"msg":"hello","source":"module","a":{"c":1},"b":2}`},
		"no msg":           {"it is only something in braces", abi.LevelInfo, `{"a":1}`, `{"level":0,"msg":"{\"a\":1}","source":"module"}`},
		"msg of no string": {"it is only something in braces", abi.LevelInfo, `{"msg":1}`, `{"level":0,"msg":"{\"msg\":1}","source":"module"}`},
		"broken JSON":      {"nothing is lost", abi.LevelInfo, `{"msg":"hello"`, `{"level":0,"msg":"{\"msg\":\"hello\"","source":"module"}`},
		"empty":            {"nothing is lost", abi.LevelInfo, "", `{"level":0,"msg":"","source":"module"}`},
		"debug":            {"it is seen with --debug", abi.LevelDebug, "hello", `{"level":1,"msg":"hello","source":"module"}`},
		"warning":          {"the log has no such level", abi.LevelWarn, "hello", `{"level":0,"msg":"hello","source":"module","severity":"warning"}`},
		"error":            {"it is one", abi.LevelError, "hello", `{"msg":"hello","error":null,"source":"module"}`},
		"unknown level":    {"it is taken for information", 77, "hello", `{"level":0,"msg":"hello","source":"module"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			log := funcr.NewJSON(func(line string) { lines = append(lines, line) }, funcr.Options{Verbosity: 1})
			logTo(log)(tt.level, tt.line)
			if len(lines) != 1 {
				t.Fatalf("%s: got %q, want one line", tt.reason, lines)
			}
			var got, want map[string]any
			if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "logger")
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}
