package apply

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	widget = StatusOptions{Subresource: true, ObservedGeneration: true, Now: noon}
	gadget = StatusOptions{Now: noon}
)

// step is one call of Status.
type step struct {
	reason string
	// edit is what somebody does before.
	edit   func(t *testing.T, found map[string]any)
	status string
	// writes says whether anything was to be written, live what the status is in the end.
	writes bool
	live   string
}

func condition(status, since string, generation string) string {
	return `{"conditions":[{"type":"Ready","status":"` + status + `","lastTransitionTime":"` + since + `"` + generation + `}]}`
}

func TestStatus(t *testing.T) {
	const since = "2026-01-02T12:00:00Z"
	tests := map[string]struct {
		object  string
		options StatusOptions
		request string
		steps   []step
	}{
		"through the subresource": {
			object:  `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}`,
			options: widget,
			request: "PATCH widgets/w/status",
			steps: []step{
				{reason: "there was none", status: `{"phase":"New","count":1}`, writes: true, live: `{"phase":"New","count":1}`},
				{reason: "it is so already", status: `{"phase":"New","count":1}`, live: `{"phase":"New","count":1}`},
				{reason: "a value has changed", status: `{"phase":"Old","count":1}`, writes: true, live: `{"phase":"Old","count":1}`},
				{reason: "a field that we do not say any more goes", status: `{"phase":"Old"}`, writes: true, live: `{"phase":"Old"}`},
				{reason: "null says the same as absent", status: `{"phase":"Old","count":null}`, live: `{"phase":"Old"}`},
				{reason: "an empty status takes all of ours away", status: `{}`, writes: true, live: `{}`},
				{reason: "nothing of ours is there", status: `{}`, live: `{}`},
			},
		},
		"beside somebody else": {
			object:  `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}`,
			options: widget,
			request: "PATCH widgets/w/status",
			steps: []step{
				{reason: "there was none", status: `{"phase":"New"}`, writes: true, live: `{"phase":"New"}`},
				{
					reason: "others' fields are theirs", status: `{"phase":"New"}`, live: `{"phase":"New","count":9}`,
					edit: func(t *testing.T, found map[string]any) { set(t, found, int64(9), "status", "count") },
				},
				{
					reason: "our fields are put back", status: `{"phase":"New"}`, writes: true, live: `{"phase":"New","count":9}`,
					edit: func(t *testing.T, found map[string]any) { set(t, found, "Theirs", "status", "phase") },
				},
				{reason: "and only ours go", status: `{}`, writes: true, live: `{"count":9}`},
			},
		},
		"conditions": {
			object:  `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}`,
			options: widget,
			request: "PATCH widgets/w/status",
			steps: []step{
				{
					reason: "time and generation are filled in", status: `{"conditions":[{"type":"Ready","status":"False"}]}`,
					writes: true, live: condition("False", since, `,"observedGeneration":1`),
				},
				{
					reason: "nothing has changed", status: `{"conditions":[{"type":"Ready","status":"False"}]}`,
					live: condition("False", since, `,"observedGeneration":1`),
				},
				{
					reason: "the time is that of the status, whatever else changes", writes: true,
					edit: func(t *testing.T, found map[string]any) {
						set(t, found, []any{map[string]any{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}}, "status", "conditions")
					},
					status: `{"conditions":[{"type":"Ready","status":"True"}]}`,
					live:   condition("True", "2020-01-01T00:00:00Z", `,"observedGeneration":1`),
				},
				{
					reason: "the module's own word counts", writes: true,
					status: `{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2021-01-01T00:00:00Z","observedGeneration":0}]}`,
					live:   condition("True", "2021-01-01T00:00:00Z", `,"observedGeneration":0`),
				},
			},
		},
		"emptied conditions": {
			object:  `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}`,
			options: widget,
			request: "PATCH widgets/w/status",
			steps: []step{
				{reason: "there is none to begin with", status: `{"conditions":[]}`, live: `{}`},
				{
					reason: "there was none", status: `{"conditions":[{"type":"Ready","status":"False"}]}`,
					writes: true, live: condition("False", since, `,"observedGeneration":1`),
				},
				{reason: "one that we do not say any more goes, the list with it", status: `{"conditions":[]}`, writes: true, live: `{}`},
				{reason: "an empty list is as good as none", status: `{"conditions":[]}`, live: `{}`},
			},
		},
		"without a subresource": {
			object:  `{apiVersion: apply.test/v1, kind: Gadget, metadata: {name: g}, spec: {size: 1}}`,
			options: gadget,
			request: "PATCH gadgets/g",
			steps: []step{
				{
					reason: "it is a field like others; a generation would change with each write of it", writes: true,
					status: `{"conditions":[{"type":"Ready","status":"True"}],"more":{"a":[1,2.5]}}`,
					live:   `{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"` + since + `"}],"more":{"a":[1,2.5]}}`,
				},
				{
					reason: "it is so already", status: `{"conditions":[{"type":"Ready","status":"True"}],"more":{"a":[1,2.5]}}`,
					live: `{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"` + since + `"}],"more":{"a":[1,2.5]}}`,
				},
				{reason: "what is not said any more goes, the object with it", status: `{"more":{}}`, writes: true, live: `{}`},
				{reason: "then the object can be said to be empty", status: `{"more":{}}`, writes: true, live: `{"more":{}}`},
				{reason: "it is so already", status: `{"more":{}}`, live: `{"more":{}}`},
				{reason: "an empty status takes all of ours away", status: `{}`, writes: true, live: `{}`},
				{reason: "nothing of ours is there", status: `{}`, live: `{}`},
			},
		},
		"of a built-in kind": {
			object:  `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, ports: [{port: 80}]}}`,
			options: StatusOptions{Subresource: true, Now: noon},
			request: "PATCH services/s/status",
			steps: []step{
				{
					reason: "there was none", status: `{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ipMode":"VIP"}]}}`, writes: true,
					live: `{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ipMode":"VIP"}]}}`,
				},
				{
					reason: "it is so already", status: `{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ipMode":"VIP"}]}}`,
					live: `{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ipMode":"VIP"}]}}`,
				},
				{reason: "what is empty is not kept", status: `{"loadBalancer":{"ingress":[]}}`, writes: true, live: `{"loadBalancer":{}}`},
				{reason: "what is empty is so already", status: `{"loadBalancer":{"ingress":[]}}`, live: `{"loadBalancer":{}}`},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bench := newBench(t, Options{})
			object := bench.object(t, tt.object)
			create(t, object)
			for _, step := range tt.steps {
				bench.takeStep(t, object, tt.options, tt.request, step)
			}
		})
	}
}

func (b *bench) takeStep(t *testing.T, object *unstructured.Unstructured, options StatusOptions, request string, step step) {
	t.Helper()
	if step.edit != nil {
		found := live(t, object)
		step.edit(t, found.Object)
		if err := api.Status().Update(t.Context(), found); err != nil {
			t.Fatal(err)
		}
	}
	written, err := b.Status(t.Context(), observe(t, object), decode(t, step.status), options)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if step.writes {
		want = []string{request}
	}
	if diff := cmp.Diff(want, b.requests.take()); diff != "" {
		t.Errorf("%s: requests: -want +got:\n%s", step.reason, diff)
	}
	found := live(t, object)
	status, _ := found.Object["status"].(map[string]any)
	if status == nil {
		status = map[string]any{}
	}
	if diff := cmp.Diff(decode(t, step.live), status); diff != "" {
		t.Errorf("%s: -want +got:\n%s", step.reason, diff)
	}
	if step.writes {
		if diff := cmp.Diff(observe(t, object), written, exported); diff != "" {
			t.Errorf("%s: what it returns is what is there: -want +got:\n%s", step.reason, diff)
		}
	} else if written != nil {
		t.Errorf("%s: nothing was written, and yet it returns %v", step.reason, written)
	}
}

// TestStatusTransition says when a condition's time changes: with its status alone.
func TestStatusTransition(t *testing.T) {
	current := map[string]any{"conditions": []any{
		map[string]any{"type": "Ready", "status": "True", "reason": "Old", "lastTransitionTime": "2020-01-01T00:00:00Z"},
		map[string]any{"type": "Timeless", "status": "True"},
	}}
	const now = "2026-01-02T12:00:00Z"
	tests := map[string]struct {
		reason    string
		condition map[string]any
		want      any
	}{
		"same status":   {"only the reason has changed", map[string]any{"type": "Ready", "status": "True", "reason": "New"}, "2020-01-01T00:00:00Z"},
		"other status":  {"that is the transition", map[string]any{"type": "Ready", "status": "False"}, now},
		"new condition": {"it is so from now on", map[string]any{"type": "Other", "status": "True"}, now},
		"without time":  {"nobody knows since when", map[string]any{"type": "Timeless", "status": "True"}, now},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, transition(tt.condition, current, noon)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}
