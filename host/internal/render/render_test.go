package render_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// answering is a module that answers each request with what f makes of it.
func answering(f func(request *abi.Request) string) reconcile.Module {
	return reconcile.ModuleFunc(func(_ context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
		decoded, err := abi.DecodeRequest(request)
		if err != nil {
			return nil, err
		}
		log(abi.LevelInfo, "called")
		return []byte(f(decoded)), nil
	})
}

func always(answer string) reconcile.Module {
	return answering(func(*abi.Request) string { return answer })
}

func decode(t *testing.T, text string) []render.Object {
	t.Helper()
	objects, err := render.Decode("objects.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

const thing = "apiVersion: render.test/v1\nkind: Thing\nmetadata: {name: t, namespace: ns}\nspec: {a: 1}\n"

// rendered runs a module with a Thing, and returns what came of it as YAML.
func rendered(t *testing.T, module reconcile.Module, observed string) (*render.Outcome, *render.Result) {
	t.Helper()
	cluster, err := render.Run(t.Context(), render.Input{
		Name: "m", Module: module, Only: decode(t, thing)[0], Objects: decode(t, observed),
	}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	outcome := cluster.Outcomes()[0]
	return outcome, cluster.Result(outcome)
}

func TestRun(t *testing.T) {
	tests := map[string]struct {
		reason   string
		answer   string
		observed string
		want     string
		failure  render.Failure
	}{
		"children and status": {
			"the children come in the order of the answer, and then what is set of the object",
			`{"children":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}},{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}],
			"status":{"ok":true},"labels":{"a":"b"}}`, "",
			"Secret ns/s, ConfigMap ns/c, Thing ns/t", render.None,
		},
		"no opinion":  {"it is not the same as none", `{}`, "", "RenderOutcome {children: no opinion}", render.None},
		"no children": {"and that is said too", `{"children":[]}`, "", "RenderOutcome {}", render.None},
		"events": {
			"each once", `{"children":[],"events":[{"type":"Normal","reason":"R","message":"m"}]}`, "",
			"RenderOutcome {events: R}", render.None,
		},
		"requeue": {"the entry gets a clock", `{"children":[],"requeueAfter":"30s"}`, "", "RenderOutcome {requeueAfter: 30s}", render.None},
		"a child that says so": {
			"it is pruned", `{"children":[]}`,
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old, namespace: ns, ownerReferences: [{apiVersion: render.test/v1, kind: Thing, name: t, controller: true}]}\n---\n" +
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: ns}\n",
			"RenderOutcome {}", render.None, // nothing says that ConfigMaps are owned
		},
		"a child of another": {
			"it is not taken away from him", `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}`,
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: ns, ownerReferences: [{apiVersion: v1, kind: Pod, name: p, controller: true}]}\n",
			"ConfigMap ns/c, RenderOutcome {events: ApplyFailed}", render.NotApplied,
		},
		"another namespace": {
			"the entry lets the kind be everywhere", `{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"default"}}]}`, "",
			"ConfigMap default/c", render.None,
		},
		"an error":        {"it is the module's", `{"error":{"message":"no"}}`, "", "RenderOutcome {events: ModuleFailed}", render.ModuleFailed},
		"no JSON":         {"it is no response", `{`, "", "RenderOutcome {events: InvalidResponse}", render.InvalidResponse},
		"an unknown kind": {"it is made up", `{"children":[{"apiVersion":"other.test/v1","kind":"Foo","metadata":{"name":"f"},"spec":{"x":1}}]}`, "", "Foo ns/f", render.None},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			outcome, result := rendered(t, always(tt.answer), tt.observed)
			if got := summary(result); got != tt.want || outcome.Failure() != tt.failure {
				t.Errorf("%s: got %q, %v (%v), want %q, %v", tt.reason, got, outcome.Failure(), outcome.Err, tt.want, tt.failure)
			}
		})
	}
}

// summary names the documents of a result.
func summary(result *render.Result) string {
	var parts []string
	for _, document := range result.Documents() {
		if document["kind"] != "RenderOutcome" {
			metadata := document["metadata"].(map[string]any)
			parts = append(parts, fmt.Sprintf("%v %v/%v", document["kind"], metadata["namespace"], metadata["name"]))
			continue
		}
		var said []string
		if document["children"] != nil {
			said = append(said, "children: no opinion")
		}
		for _, event := range result.Events {
			said = append(said, "events: "+event.Reason)
		}
		for _, field := range []string{"requeueAfter", "error"} {
			if document[field] != nil {
				said = append(said, fmt.Sprintf("%s: %v", field, document[field]))
			}
		}
		parts = append(parts, "RenderOutcome {"+strings.Join(said, ", ")+"}")
	}
	return strings.Join(parts, ", ")
}

// TestNoFixedPoint ends with an error where the cluster would never come to rest.
func TestNoFixedPoint(t *testing.T) {
	calls := 0
	outcome, _ := rendered(t, answering(func(*abi.Request) string {
		calls++
		return fmt.Sprintf(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"n":"%d"}}]}`, calls)
	}), "")
	if outcome.Failure() != render.ModuleFailed || !strings.Contains(outcome.Err.Error(), "does not reach a fixed point") {
		t.Errorf("got %v", outcome.Err)
	}
}

// TestClock moves the clock to when the module asked to be called again.
func TestClock(t *testing.T) {
	var told []string
	module := answering(func(request *abi.Request) string {
		told = append(told, request.Now)
		return `{"children":[],"requeueAfter":"30s"}`
	})
	plan, err := render.Prepare(t.Context(), render.Input{Name: "m", Module: module, Only: decode(t, thing)[0]}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := plan.Converge(t.Context(), render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	told = nil
	cluster.Advance(t.Context(), time.Minute+time.Second)
	if diff := cmp.Diff([]string{"2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"}, told); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestObserved shows a module what was observed, with its status and with owners that are here.
func TestObserved(t *testing.T) {
	var seen map[string]json.RawMessage
	module := answering(func(request *abi.Request) string {
		seen = request.Children["Deployment.apps/v1"]
		return `{"children":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},` +
			`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}]}`
	})
	outcome, _ := rendered(t, module, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns, uid: 11111111-2222-3333-4444-555555555555, resourceVersion: "7"}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: other}]}}}
status: {availableReplicas: 3}
`)
	if outcome.Err != nil || !strings.Contains(string(seen["ns/d"]), `"availableReplicas":3`) || !strings.Contains(string(seen["ns/d"]), `"image":"i"`) {
		t.Errorf("got %s, %v", seen["ns/d"], outcome.Err)
	}
}

// TestDeleting lets an object go that is being deleted, without its module.
func TestDeleting(t *testing.T) {
	object := decode(t, "apiVersion: render.test/v1\nkind: Thing\nmetadata: {name: t, namespace: ns, finalizers: [a.test/b], deletionTimestamp: '2026-01-01T00:00:00Z'}\n")[0]
	cluster, err := render.Run(t.Context(), render.Input{Name: "m", Module: always(`{`), Only: object}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if outcome := cluster.Outcomes()[0]; outcome.Calls != 0 || outcome.Err != nil {
		t.Errorf("got %+v", outcome)
	}
}

// TestKill has a second host go on where the first one was killed, after each of its writes.
func TestKill(t *testing.T) {
	module := always(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}],"status":{"x":1}}`)
	plan, err := render.Prepare(t.Context(), render.Input{Name: "m", Module: module, Only: decode(t, thing)[0]}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := plan.Converge(t.Context(), render.Options{})
	if err != nil || whole.Writes() != 3 {
		t.Fatalf("%d writes, %v", whole.Writes(), err)
	}
	for write := 1; write <= 3; write++ {
		cluster, err := plan.Start(t.Context(), render.Options{KillAfter: write})
		if err != nil {
			t.Fatal(err)
		}
		cluster.Settle(t.Context())
		if diff := cmp.Diff(whole.Objects(), cluster.Objects()); diff != "" {
			t.Errorf("killed after write %d: -want +got:\n%s", write, diff)
		}
	}
}

// TestWave renders many objects side by side, and one after another: that makes no difference.
func TestWave(t *testing.T) {
	module := answering(func(request *abi.Request) string {
		var object struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(request.Object, &object); err != nil {
			return `{`
		}
		return fmt.Sprintf(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"of-%s"},"data":{"seen":"%d"}}],"status":{"children":%d}}`,
			object.Metadata.Name, len(request.Children["ConfigMap.v1"]), len(request.Children["ConfigMap.v1"]))
	})
	input := render.Input{Name: "m", Module: module, For: decode(t, thing)[0].GroupVersionKind()}
	for i := range 100 {
		object := decode(t, thing)[0]
		object.SetName(fmt.Sprintf("t-%d", i))
		input.Objects = append(input.Objects, object)
	}
	plan, err := render.Prepare(t.Context(), input, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	var results [2][]render.Object
	for i, wave := range []int{1, 16} {
		cluster, err := plan.Converge(t.Context(), render.Options{Wave: wave})
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range cluster.Objects() {
			object = object.DeepCopy()
			object.SetResourceVersion("") // which goes by the order of the writes
			results[i] = append(results[i], object)
		}
		if raced := cluster.Raced(); raced || len(cluster.Outcomes()) != 100 || cluster.Writes() < 300 {
			t.Errorf("waves of %d: %d objects were reconciled by %d writes, raced: %t", wave, len(cluster.Outcomes()), cluster.Writes(), raced)
		}
	}
	if diff := cmp.Diff(results[0], results[1]); diff != "" {
		t.Errorf("-one after another +in waves:\n%s", diff)
	}
}
