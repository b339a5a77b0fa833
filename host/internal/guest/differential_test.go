package guest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
)

// differentialGuests are modules of several languages, all of which are called with the same requests. They are called
// as they are by wazero alone, and rewritten, and in the sandbox: what they answer must be the same.
var differentialGuests = map[string]string{
	"Rust":           guesttest.MarkdownViewRust,
	"C":              guesttest.MarkdownViewC,
	"AssemblyScript": guesttest.MarkdownViewAssemblyScript,
}

// differentialRequests are requests by the reason why they are here.
func differentialRequests(t *testing.T) map[string][]byte {
	served := file(t, guesttest.Request)
	return map[string][]byte{
		"a served book": served,
		"a new book":    changed(t, served, func(r request) { r.at("children")["Deployment.apps/v1"] = request{} }),
		"new text, which is to be rolled out": changed(t, served, func(r request) {
			r.at("object", "spec", "markdowns")["page.md"] = "quotes \" \\ <&> \u2028 \x01 \t \U0001F600 é"
		}),
		"a spec that cannot be served": changed(t, served, func(r request) { delete(r.at("object", "spec", "markdowns"), "SUMMARY.md") }),
		"more replicas":                changed(t, served, func(r request) { r.at("object", "spec")["replicas"] = 7 }),
		"a name that is no DNS label": changed(t, served, func(r request) {
			r.at("object", "metadata")["name"] = "a.very-long.name-that-does-not-fit-into-a-label-as-it-has-too-many-characters"
		}),
		"more text than fits the image": changed(t, served, func(r request) {
			r.at("object", "spec", "markdowns")["long.md"] = strings.Repeat("# Long\n", 30_000)
		}),
		"a kind that is not owned": changed(t, served, func(r request) { delete(r.at("children"), "Deployment.apps/v1") }),
	}
}

// request is a request that can be changed.
type request map[string]any

// at returns the object at a path.
func (r request) at(path ...string) request {
	for _, name := range path {
		r = r[name].(map[string]any)
	}
	return r
}

func changed(t *testing.T, data []byte, change func(r request)) []byte {
	t.Helper()
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	change(r)
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answer is what a module says, whichever way it is called.
type answer struct {
	Response string
	Failed   bool
}

func TestDifferential(t *testing.T) {
	requests := differentialRequests(t)
	modules := map[string][]byte{"Go": goModule}
	for language, name := range differentialGuests {
		modules[language] = file(t, name)
	}
	for language, wasm := range modules {
		t.Run(language, func(t *testing.T) {
			plain, metered := alone(t, wasm, guesttest.Options{}), alone(t, wasm, guesttest.Options{Metered: true})
			sandboxed := sandboxed(t, wasm)
			for why, request := range requests {
				want := plain(request)
				if diff := cmp.Diff(want, metered(request)); diff != "" {
					t.Errorf("%s: rewritten, it answers something else (-as it is +rewritten):\n%s", why, diff)
				}
				if diff := cmp.Diff(want, sandboxed(request)); diff != "" {
					t.Errorf("%s: in the sandbox, it answers something else (-as it is +sandboxed):\n%s", why, diff)
				}
			}
		})
	}
}

// TestSameAnswers compares the languages with each other: benchmarks may take one guest for another only if all do the
// same work.
func TestSameAnswers(t *testing.T) {
	requests := differentialRequests(t)
	reference := sandboxed(t, goModule)
	for _, language := range []string{"Rust", "C"} {
		t.Run(language, func(t *testing.T) {
			other := sandboxed(t, file(t, differentialGuests[language]))
			for why, request := range requests {
				if diff := cmp.Diff(reference(request), other(request)); diff != "" {
					t.Errorf("%s: it answers something else than the Go module (-Go +%s):\n%s", why, language, diff)
				}
			}
		})
	}
}

// alone returns a function that calls a module with wazero alone, each time in an instance of its own.
func alone(t *testing.T, wasm []byte, options guesttest.Options) func(request []byte) answer {
	t.Helper()
	m, err := guesttest.Compile(t.Context(), wasm, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return func(request []byte) answer {
		i, err := m.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = i.Close(t.Context()) }()
		response, err := i.Call(t.Context(), request)
		return answer{string(response), err != nil}
	}
}

// sandboxed returns a function that calls a module in the sandbox.
func sandboxed(t *testing.T, wasm []byte) func(request []byte) answer {
	t.Helper()
	r, err := NewRuntime(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	m, err := r.Load(t.Context(), wasm, Limits{}, Hermetic)
	if err != nil {
		t.Fatal(err)
	}
	return func(request []byte) answer {
		result, err := m.Call(t.Context(), request, silent)
		return answer{string(result.Response), err != nil}
	}
}
