package reconcile

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// allowAll lets responses ask for all that the tests have.
var allowAll = []AllowedRelated{
	{Kind: configMap.GroupVersionKind, Namespaces: []string{AllNamespaces}},
	{Kind: secret.GroupVersionKind, Namespaces: []string{AllNamespaces}},
	{Kind: clusterRole.GroupVersionKind},
	{Kind: unserved},
}

// unserved is a kind that the cluster does not serve.
var unserved = schema.GroupVersionKind{Group: "reconcile.test", Version: "v1", Kind: "Unserved"}

// asks returns an answer that asks for these, each a JSON object, and has no other opinion.
func asks(rules ...string) string { return `{"related":[` + strings.Join(rules, ",") + `]}` }

// namedConfigMaps returns a rule for ConfigMaps of these names.
func namedConfigMaps(names ...string) string {
	return `{"apiVersion":"v1","kind":"ConfigMap","names":["` + strings.Join(names, `","`) + `"]}`
}

// decodeRules decodes rules as the config has them.
func (b *bench) decodeRules(rules ...string) []abi.Related {
	b.t.Helper()
	response, err := abi.DecodeResponse([]byte(b.here(asks(rules...))))
	if err != nil {
		b.t.Fatal(err)
	}
	return response.Related
}

// keysOf returns the names of objects by their kind.
func keysOf(objects abi.Objects) map[string][]string {
	keys := map[string][]string{}
	for kind, byName := range objects {
		keys[kind] = append([]string{}, slices.Sorted(maps.Keys(byName))...)
	}
	return keys
}

// related returns the names of the related objects in the last request.
func (b *bench) related() map[string][]string {
	b.t.Helper()
	if len(b.requests) == 0 {
		b.t.Fatal("the module was not called")
	}
	request, err := abi.DecodeRequest(b.requests[len(b.requests)-1])
	if err != nil {
		b.t.Fatal(err)
	}
	return keysOf(request.Related)
}

// configMapIn makes a ConfigMap with the label app, and one that tells the objects of this bench from those of others.
func (b *bench) configMapIn(namespace, name, app string) {
	b.t.Helper()
	b.createIn(namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: "`+name+`", labels: {app: "`+app+`", room: "`+b.name.Namespace+`"}}}`)
}

// terminal says whether an error is not tried again.
func terminal(err error) bool { return errors.Is(err, reconcile.TerminalError(nil)) }

// TestRelated asks for objects, in the config and in a response: there is no difference.
func TestRelated(t *testing.T) {
	elsewhere := newNamespace(t)
	here := func(text string) string { return strings.ReplaceAll(text, "$ELSEWHERE", elsewhere) }
	tests := map[string]struct {
		reason string
		rules  []string
		want   map[string][]string
	}{
		"by name": {
			"the namespace is the object's",
			[]string{namedConfigMaps("a")},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a"}},
		},
		"by names": {
			"what is not there is left out",
			[]string{namedConfigMaps("b", "none", "a")},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a", "$NAMESPACE/b"}},
		},
		"by no names": {
			"none is not all",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","names":[]}`},
			map[string][]string{"ConfigMap.v1": {}},
		},
		"by labels": {
			"those that have the label",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"x"}}}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a"}},
		},
		"by expressions": {
			"all of them hold",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchExpressions":[` +
				`{"key":"app","operator":"In","values":["x","y"]},{"key":"app","operator":"NotIn","values":["x"]},` +
				`{"key":"room","operator":"Exists"},{"key":"old","operator":"DoesNotExist"}]}}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/b"}},
		},
		"all of the namespace": {
			"nothing narrows it down",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap"}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a", "$NAMESPACE/b"}},
		},
		"all of the namespace, by an empty selector": {
			"it selects all",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{}}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a", "$NAMESPACE/b"}},
		},
		"in another namespace": {
			"it is named",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","namespace":"$ELSEWHERE","names":["$NAMESPACE"]}`},
			map[string][]string{"ConfigMap.v1": {"$ELSEWHERE/$NAMESPACE"}},
		},
		"in all namespaces": {
			"the labels are the same everywhere",
			[]string{`{"apiVersion":"v1","kind":"ConfigMap","namespace":"*","labelSelector":{"matchLabels":{"app":"x","room":"$NAMESPACE"}}}`},
			map[string][]string{"ConfigMap.v1": {"$ELSEWHERE/$NAMESPACE", "$NAMESPACE/a"}},
		},
		"cluster-scoped, by name": {
			"it has no namespace, whatever the rule says",
			[]string{`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","names":["$NAMESPACE"]}`},
			map[string][]string{"ClusterRole.rbac.authorization.k8s.io/v1": {"$NAMESPACE"}},
		},
		"cluster-scoped, by labels": {
			"there is one with this label",
			[]string{`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","labelSelector":{"matchLabels":{"room":"$NAMESPACE"}}}`},
			map[string][]string{"ClusterRole.rbac.authorization.k8s.io/v1": {"$NAMESPACE"}},
		},
		"of two kinds": {
			"a kind of which there is none is there all the same",
			[]string{namedConfigMaps("a"), `{"apiVersion":"v1","kind":"Secret"}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a"}, "Secret.v1": {}},
		},
		"the same twice": {
			"each object is there once",
			[]string{namedConfigMaps("a", "a"), `{"apiVersion":"v1","kind":"ConfigMap"}`},
			map[string][]string{"ConfigMap.v1": {"$NAMESPACE/a", "$NAMESPACE/b"}},
		},
	}
	for name, tt := range tests {
		for _, from := range []string{"config", "response"} {
			t.Run(name+", from the "+from, func(t *testing.T) {
				b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
				b.configMapIn(b.name.Namespace, "a", "x")
				b.configMapIn(b.name.Namespace, "b", "y")
				b.configMapIn(elsewhere, b.name.Namespace, "x")
				role := b.here(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: $NAMESPACE, labels: {room: $NAMESPACE}}}`)
				b.createIn("", role)
				rules, calls := here(strings.Join(tt.rules, ",")), 1
				if from == "config" {
					b.controller.Related.Rules = b.decodeRules(rules)
				} else {
					b.answer, calls = asks(rules), 2
				}
				b.reconcileOnce()
				want := map[string][]string{}
				for kind, keys := range tt.want {
					want[kind] = []string{}
					for _, key := range keys {
						want[kind] = append(want[kind], b.here(here(key)))
					}
					slices.Sort(want[kind])
				}
				if diff := cmp.Diff(want, b.related()); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
				}
				if diff := cmp.Diff(did{Calls: calls}, b.did()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				b.reconcileOnce()
				if diff := cmp.Diff(did{}, b.did()); diff != "" {
					t.Errorf("nothing has changed: -want +got:\n%s", diff)
				}
			})
		}
	}
}

// chain returns a module that follows ConfigMaps of which each names the next, from a on, and says when it is at the end.
func chain(request *abi.Request) string {
	names, at := []string{}, "a"
	for at != "" {
		names = append(names, at)
		found, ok := request.Related["ConfigMap.v1"]["$NAMESPACE/"+at]
		if !ok {
			return asks(namedConfigMaps(names...))
		}
		var link struct{ Data map[string]string }
		if err := json.Unmarshal(found, &link); err != nil {
			return err.Error()
		}
		at = link.Data["next"]
	}
	return strings.TrimSuffix(asks(namedConfigMaps(names...)), "}") + `,"status":{"phase":"` + names[len(names)-1] + `"}}`
}

// links makes ConfigMaps a, b, c ... of which each names the next.
func (b *bench) links(count int) {
	b.t.Helper()
	for i := range count {
		next := ""
		if i < count-1 {
			next = string(rune('b' + i))
		}
		b.create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: ` + string(rune('a'+i)) + `}, data: {next: "` + next + `"}}`)
	}
}

// TestRounds has modules that find out what they need from what they have asked for.
func TestRounds(t *testing.T) {
	const tooMany = "Warning InvalidResponse on a: the module asks for other related objects each time, 5 times in a row"
	flips := func(request *abi.Request) string {
		if _, ok := request.Related["ConfigMap.v1"]; ok {
			return strings.TrimSuffix(asks(`{"apiVersion":"v1","kind":"Secret"}`), "}") + `,"status":{"phase":"flip"}}`
		}
		return strings.TrimSuffix(asks(namedConfigMaps("a")), "}") + `,"status":{"phase":"flop"}}`
	}
	inNamespace := func(b *bench, respond func(*abi.Request) string) func(*abi.Request) string {
		return func(request *abi.Request) string {
			named := map[string]json.RawMessage{}
			for key, value := range request.Related["ConfigMap.v1"] {
				named[strings.Replace(key, b.name.Namespace, "$NAMESPACE", 1)] = value
			}
			if _, ok := request.Related["ConfigMap.v1"]; ok {
				request.Related["ConfigMap.v1"] = named
			}
			return respond(request)
		}
	}
	tests := map[string]struct {
		reason  string
		links   int
		respond func(*abi.Request) string
		want    did
		again   did
	}{
		"stable at once": {
			"nothing is asked for", 0,
			func(*abi.Request) string { return `{"status":{"phase":"x"}}` },
			did{Calls: 1, Writes: 1},
			did{},
		},
		"stable after two": {"what is asked for is there", 1, chain, did{Calls: 2, Writes: 1}, did{}},
		"missing": {
			"what is asked for is not there, so the answer would be the same", 0, chain, did{Calls: 2}, did{},
		},
		"stable after five": {"that many are made", 4, chain, did{Calls: 5, Writes: 1}, did{}},
		"stable after six": {
			"it would be one too many, and is the next time too", 5, chain,
			did{Calls: 5, Events: []string{tooMany}},
			did{Calls: 5},
		},
		"never stable": {
			"there is no telling which answer counts", 0, flips,
			did{Calls: 5, Events: []string{tooMany}},
			did{Calls: 5},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
			b.links(tt.links)
			b.respond = inNamespace(b, tt.respond)
			failed := len(tt.want.Events) > 0
			for _, want := range []did{tt.want, tt.again} {
				if _, err := b.Reconcile(t.Context(), b.name); (err != nil) != failed || failed && !terminal(err) {
					t.Fatalf("%s: got the error %v", tt.reason, err)
				}
				if diff := cmp.Diff(want, b.did()); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
				}
				if !failed && want.Writes > 0 { // see the status that was written
					b.reconcileOnce()
					b.did()
				}
			}
		})
	}
}

// TestRelatedRefused asks for what the config does not allow.
func TestRelatedRefused(t *testing.T) {
	allow := []AllowedRelated{
		{Kind: configMap.GroupVersionKind, Namespaces: []string{"shared"}, Names: []string{"themes", "fonts"}},
		{Kind: secret.GroupVersionKind},
		{Kind: clusterRole.GroupVersionKind, Names: []string{"view"}},
	}
	tests := map[string]struct {
		reason string
		rule   string
		want   string // empty: it is allowed
	}{
		"another kind": {
			"nobody allowed it", `{"apiVersion":"v1","kind":"Pod"}`,
			`related[0]: kind v1 Pod is not allowed: add it to related.allow in the controller's config`,
		},
		"another version": {
			"it is another kind", `{"apiVersion":"v2","kind":"Secret"}`,
			`related[0]: kind v2 Secret is not allowed: add it to related.allow in the controller's config`,
		},
		"another namespace": {
			"none is allowed but the object's", `{"apiVersion":"v1","kind":"Secret","namespace":"shared"}`,
			`related[0]: namespace "shared" with names [] is not allowed for kind Secret: see related.allow in the controller's config`,
		},
		"all namespaces": {
			"one is not all", `{"apiVersion":"v1","kind":"ConfigMap","namespace":"*","labelSelector":{}}`,
			`related[0]: namespace "*" with names [] is not allowed for kind ConfigMap: see related.allow in the controller's config`,
		},
		"names in all namespaces": {
			"who wants that has mistaken something", `{"apiVersion":"v1","kind":"Secret","namespace":"*","names":["a"]}`,
			`related[0]: names in all namespaces: name the namespace, or select by labels`,
		},
		"another name": {
			"one of two is not enough", `{"apiVersion":"v1","kind":"ConfigMap","names":["themes","keys"]}`,
			`related[0]: namespace "" with names ["themes" "keys"] is not allowed for kind ConfigMap: see related.allow in the controller's config`,
		},
		"all names": {
			"some are not all", `{"apiVersion":"v1","kind":"ConfigMap"}`,
			`related[0]: namespace "" with names [] is not allowed for kind ConfigMap: see related.allow in the controller's config`,
		},
		"names by label": {
			"who chooses the labels would choose the names", `{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"a":"b"}}}`,
			`related[0]: namespace "" with names [] is not allowed for kind ConfigMap: see related.allow in the controller's config`,
		},
		"a label that can be none": {
			"it would select nothing", `{"apiVersion":"v1","kind":"Secret","labelSelector":{"matchLabels":{"a b":"c"}}}`,
			`related[0]: key: Invalid value: "a b"`,
		},
		"allowed names":          {"in the object's namespace", `{"apiVersion":"v1","kind":"ConfigMap","names":["fonts"]}`, ""},
		"allowed names abroad":   {"in the allowed one", `{"apiVersion":"v1","kind":"ConfigMap","namespace":"shared","names":["fonts"]}`, ""},
		"no names":               {"none of the allowed ones", `{"apiVersion":"v1","kind":"ConfigMap","names":[]}`, ""},
		"its own namespace":      {"it is the default", `{"apiVersion":"v1","kind":"Secret","namespace":"$NAMESPACE"}`, ""},
		"allowed cluster-scoped": {"by its name", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","names":["view"]}`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap), Related: RelatedOptions{Allow: allow}})
			b.answer = strings.TrimSuffix(asks(tt.rule), "}") + `,"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}`
			_, err := b.Reconcile(t.Context(), b.name)
			if tt.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tt.reason, err)
				}
				return
			}
			done := b.did()
			if !terminal(err) || done.Calls != 1 || done.Writes != 0 {
				t.Errorf("%s: got the error %v after %d calls and %d writes, want a terminal one", tt.reason, err, done.Calls, done.Writes)
			}
			want := "Warning InvalidResponse on a: invalid response from the module: " + tt.want
			if len(done.Events) != 1 || !strings.HasPrefix(done.Events[0], want) {
				t.Errorf("%s: got %q, want %q", tt.reason, done.Events, want)
			}
		})
	}
}

// wakes returns the names of the objects that an object wakes, in order.
func (b *bench) wakes(object *kube.Object) []string {
	b.t.Helper()
	names := []string{}
	for _, name := range b.Related(object) {
		names = append(names, name.Name)
	}
	slices.Sort(names)
	return names
}

// TestRelatedWakes has objects that ask for different things, and follows what wakes whom.
func TestRelatedWakes(t *testing.T) {
	b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
	asked := map[string]string{
		"a":      asks(namedConfigMaps("x", "later")),
		"labels": asks(`{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"web"}}}`),
		"all":    asks(`{"apiVersion":"v1","kind":"ConfigMap"}`),
		"world":  asks(`{"apiVersion":"v1","kind":"ConfigMap","namespace":"*","labelSelector":{"matchLabels":{"app":"web"}}}`),
		"roles":  asks(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole"}`, namedConfigMaps("x")),
		"none":   asks(`{"apiVersion":"v1","kind":"ConfigMap","names":[]}`),
	}
	b.respond = func(request *abi.Request) string {
		var object struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(request.Object, &object); err != nil {
			return err.Error()
		}
		return asked[object.Metadata.Name]
	}
	reconcileOne := func(name string) {
		t.Helper()
		if _, err := b.Reconcile(t.Context(), b.called(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name := range asked {
		if name != b.name.Name {
			b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: ` + name + `}}`)
		}
		reconcileOne(name)
	}
	config := func(namespace, name, app string) *kube.Object {
		labels := `{}`
		if app != "" {
			labels = `{"app":"` + app + `"}`
		}
		return &kube.Object{
			Kind: configMap.GroupVersionKind, NamespacedName: types.NamespacedName{Namespace: namespace, Name: name},
			JSON: []byte(`{"metadata":{"name":"` + name + `","labels":` + labels + `}}`),
		}
	}
	secretX := config(b.name.Namespace, "x", "web")
	secretX.Kind = secret.GroupVersionKind
	role := &kube.Object{Kind: clusterRole.GroupVersionKind, NamespacedName: types.NamespacedName{Name: "x"}, JSON: []byte(`{}`)}
	tests := map[string]struct {
		reason string
		object *kube.Object
		want   []string
	}{
		"named":              {"two have named it, and one has asked for all", config(b.name.Namespace, "x", ""), []string{"a", "all", "roles"}},
		"not there yet":      {"who has asked for it waits for it", config(b.name.Namespace, "later", ""), []string{"a", "all"}},
		"labelled":           {"who has asked for the label, and for all", config(b.name.Namespace, "y", "web"), []string{"all", "labels", "world"}},
		"labelled and named": {"each is woken once", config(b.name.Namespace, "x", "web"), []string{"a", "all", "labels", "roles", "world"}},
		"another label":      {"who has asked for all", config(b.name.Namespace, "y", "other"), []string{"all"}},
		"labelled elsewhere": {"who has asked for all namespaces", config("elsewhere", "x", "web"), []string{"world"}},
		"another kind":       {"nobody has asked for it", secretX, []string{}},
		"cluster-scoped":     {"one has asked for all", role, []string{"roles"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, b.wakes(tt.object)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
	asked["a"] = asks(namedConfigMaps("y"))
	b.resize(2)
	reconcileOne("a")
	if got := b.wakes(config(b.name.Namespace, "x", "")); slices.Contains(got, "a") {
		t.Errorf("it asks for something else now, and is woken all the same: %v", got)
	}
	if got := b.wakes(config(b.name.Namespace, "y", "")); !slices.Contains(got, "a") {
		t.Errorf("it asks for this now, and is not woken: %v", got)
	}
	for name := range asked {
		b.delete(thing, b.called(name))
		reconcileOne(name)
	}
	if got := b.wakes(config(b.name.Namespace, "x", "web")); len(got) > 0 {
		t.Errorf("all are gone: got %v", got)
	}
	if d := &b.dependencies; len(d.rules)+len(d.selections)+len(d.byName)+len(d.byLabels) > 0 {
		t.Errorf("what is gone is forgotten: got %v, %v, %v, %v", d.rules, d.selections, d.byName, d.byLabels)
	}
}

// TestRelatedOfAnother does not give to an object what an earlier one of its name has asked for.
func TestRelatedOfAnother(t *testing.T) {
	b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
	b.configMapIn(b.name.Namespace, "x", "web")
	b.settle(asks(namedConfigMaps("x")))
	b.delete(thing, b.name)
	b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
	b.answer = "{}"
	b.reconcileOnce()
	if diff := cmp.Diff(map[string][]string{}, b.related()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := b.wakes(b.observe(configMap, b.called("x"))); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

// TestRelatedIsSeen calls the module when a related object has changed, however it comes to be reconciled.
func TestRelatedIsSeen(t *testing.T) {
	label := func(b *bench, app string) {
		b.edit(configMap, b.called("x"), func(object map[string]any) {
			object["metadata"].(map[string]any)["labels"] = map[string]any{"app": app}
		})
	}
	tests := map[string]struct {
		reason string
		happen func(b *bench)
		want   []string
		calls  int
	}{
		"nothing": {"there is nothing new", func(*bench) {}, nil, 0},
		"changed": {"its data may matter", func(b *bench) {
			b.edit(configMap, b.called("x"), func(object map[string]any) { object["data"] = map[string]any{"k": "v"} })
		}, []string{"$NAMESPACE/x"}, 1},
		"created":    {"it was asked for before it was there", func(b *bench) { b.configMapIn(b.name.Namespace, "y", "web") }, []string{"$NAMESPACE/x", "$NAMESPACE/y"}, 1},
		"deleted":    {"the module may need another", func(b *bench) { b.delete(configMap, b.called("x")) }, []string{}, 1},
		"relabelled": {"it is not selected any more", func(b *bench) { label(b, "other") }, []string{}, 1},
		"another":    {"nobody has asked for it", func(b *bench) { b.configMapIn(b.name.Namespace, "y", "other") }, nil, 0},
		"replaced": {"it is another one, though it looks the same", func(b *bench) {
			b.delete(configMap, b.called("x"))
			b.configMapIn(b.name.Namespace, "x", "web")
		}, []string{"$NAMESPACE/x"}, 1},
	}
	rule := `{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"web"}}}`
	for name, tt := range tests {
		for _, from := range []string{"config", "response"} {
			t.Run(name+", from the "+from, func(t *testing.T) {
				b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
				b.configMapIn(b.name.Namespace, "x", "web")
				answer := asks(rule)
				if from == "config" {
					b.controller.Related.Rules, answer = b.decodeRules(rule), "{}"
				}
				b.settle(answer)
				tt.happen(b)
				b.reconcileOnce()
				if tt.calls > 0 {
					want := map[string][]string{"ConfigMap.v1": {}}
					for _, key := range tt.want {
						want["ConfigMap.v1"] = append(want["ConfigMap.v1"], b.here(key))
					}
					if diff := cmp.Diff(want, b.related()); diff != "" {
						t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
					}
				}
				if diff := cmp.Diff(did{Calls: tt.calls}, b.did()); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
				}
			})
		}
	}
}

// TestRelatedCannotBeHad asks for kinds that are not to be had. The object says so, is tried again, and is not stuck with
// what it has asked for once.
func TestRelatedCannotBeHad(t *testing.T) {
	mayNot := map[schema.GroupVersionKind]error{secret.GroupVersionKind: errors.New("secrets is forbidden")}
	tests := map[string]struct {
		reason string
		rule   string
		want   string
	}{
		"not served": {
			"its CRD may come yet", `{"apiVersion":"reconcile.test/v1","kind":"Unserved"}`,
			`Warning RelatedFailed on a: cannot read the related objects of kind Unserved: no matches for kind "Unserved" in version "reconcile.test/v1"`,
		},
		"not to be listed": {
			"somebody may allow it yet", `{"apiVersion":"v1","kind":"Secret"}`,
			`Warning RelatedFailed on a: cannot read the related objects of kind Secret: secrets is forbidden`,
		},
	}
	for name, tt := range tests {
		for _, from := range []string{"config", "response"} {
			t.Run(name+", from the "+from, func(t *testing.T) {
				b := newBench(t, Controller{For: thing, Owns: owns(configMap), Related: RelatedOptions{Allow: allowAll}})
				b.settle(wants("kept"))
				b.cache.unlisted = mayNot
				calls := 1
				if from == "config" {
					b.controller.Related.Rules, calls = b.decodeRules(tt.rule), 0
				} else {
					b.answer = strings.TrimSuffix(asks(tt.rule), "}") + `,"children":[]}`
				}
				b.resize(2)
				for i, want := range []did{{Calls: calls, Events: []string{tt.want}}, {Calls: calls}} {
					if _, err := b.Reconcile(t.Context(), b.name); err == nil || terminal(err) {
						t.Errorf("%s: got the error %v, want one that is not terminal", tt.reason, err)
					}
					if diff := cmp.Diff(want, b.did()); diff != "" {
						t.Errorf("%s: try %d: -want +got:\n%s", tt.reason, i+1, diff)
					}
				}
				if diff := cmp.Diff([]string{"kept"}, b.children()); diff != "" {
					t.Errorf("nothing was applied: -want +got:\n%s", diff)
				}
				b.cache.unlisted, b.controller.Related.Rules = nil, nil
				b.resize(3)
				b.settle(wants("kept"))
			})
		}
	}
}

// TestRelatedWithoutNamespace asks for namespaced objects on behalf of an object that has no namespace.
func TestRelatedWithoutNamespace(t *testing.T) {
	tests := map[string]struct {
		reason string
		rule   string
		want   string
	}{
		"no namespace": {
			"there is no default", namedConfigMaps("a"),
			`the reconciled object has no namespace: name one, or "*" for all`,
		},
		"a namespace":    {"it is allowed", `{"apiVersion":"v1","kind":"ConfigMap","namespace":"$ROOM","names":["a"]}`, ""},
		"all namespaces": {"it is allowed", `{"apiVersion":"v1","kind":"ConfigMap","namespace":"*","labelSelector":{"matchLabels":{"room":"$ROOM"}}}`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: namespace, Related: RelatedOptions{Allow: allowAll}})
			b.createIn(b.name.Name, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {room: `+b.name.Name+`}}}`)
			b.answer = strings.ReplaceAll(asks(tt.rule), "$ROOM", b.name.Name)
			_, err := b.Reconcile(t.Context(), b.name)
			if tt.want != "" {
				if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
					t.Errorf("%s: got the error %v, want %q", tt.reason, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string][]string{"ConfigMap.v1": {b.name.Name + "/a"}}, b.related()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// remembered is what outcomes are between two lives of a host.
type rememberedOutcomes struct {
	known   map[Identity]bool
	settled map[types.NamespacedName]Identity
}

func (o *rememberedOutcomes) Known(identity Identity) bool { return o.known[identity] }

func (o *rememberedOutcomes) Settled(_ Kind, name types.NamespacedName, identity Identity) {
	o.settled[name] = identity
}

func (o *rememberedOutcomes) Unsettled(_ Kind, name types.NamespacedName) { delete(o.settled, name) }

// restart puts a new Reconciler in the place of the old one, which knows just what outcomes there were.
func (b *bench) restart() {
	outcomes := &rememberedOutcomes{map[Identity]bool{}, map[types.NamespacedName]Identity{}}
	if old, ok := b.controller.Outcomes.(*rememberedOutcomes); ok {
		for _, identity := range old.settled {
			outcomes.known[identity] = true
		}
	}
	controller := b.controller
	controller.Outcomes = outcomes
	b.Reconciler = New(controller, b.module, b.reader, b.applier, b)
}

// TestRelatedAfterRestart remembers outcomes only with the related objects that they followed from, and who asked for them.
func TestRelatedAfterRestart(t *testing.T) {
	named := namedConfigMaps("x", "later")
	tests := map[string]struct {
		reason        string
		rules         []string // of the config
		answer        string
		happen        func(b *bench)
		calls, writes int
	}{
		"rules of the config": {
			"nothing happened, and nobody need be called",
			[]string{named},
			wants("c"),
			func(*bench) {},
			0, 0,
		},
		"rules of the config, changed": {
			"its data may matter",
			[]string{named},
			wants("c"),
			func(b *bench) { b.configMapIn(b.name.Namespace, "later", "web") },
			1, 0,
		},
		"of a response": {
			"one call says what is asked for, and then all is known",
			nil,
			strings.TrimSuffix(asks(named), "}") + `,"children":[]}`,
			func(*bench) {},
			1, 0,
		},
		"of a response, changed": {
			"it is another request",
			nil,
			strings.TrimSuffix(asks(named), "}") + `,"children":[]}`,
			func(b *bench) { b.configMapIn(b.name.Namespace, "later", "web") },
			2, 0,
		},
		"of both": {
			"the request is the same with and without what the module asks for, and the module must say so nevertheless",
			[]string{namedConfigMaps("x")},
			strings.TrimSuffix(asks(named), "}") + `,"children":[]}`,
			func(*bench) {},
			1, 0,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Controller{For: thing, Owns: owns(configMap), Related: RelatedOptions{Allow: allowAll}})
			b.controller.Related.Rules = b.decodeRules(tt.rules...)
			b.restart()
			b.configMapIn(b.name.Namespace, "x", "web")
			b.settle(tt.answer)
			tt.happen(b)
			b.restart()
			b.reconcileOnce()
			if diff := cmp.Diff(did{Calls: tt.calls, Writes: tt.writes}, b.did()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			later := &kube.Object{Kind: configMap.GroupVersionKind, NamespacedName: b.called("later")}
			if diff := cmp.Diff([]string{"a"}, b.wakes(later)); diff != "" {
				t.Errorf("what was asked for wakes the object: -want +got:\n%s", diff)
			}
		})
	}
}

// TestDependenciesRace has many goroutines ask, wake and forget at the same time, for the race detector and for what is left
// over.
func TestDependenciesRace(t *testing.T) {
	b := newBench(t, Controller{For: thing, Related: RelatedOptions{Allow: allowAll}})
	rules := b.decodeRules(namedConfigMaps("x"), `{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"web"}}}`)
	b.configMapIn(b.name.Namespace, "x", "web")
	x := b.observe(configMap, b.called("x"))
	b.cache.freeze(t, b.name.Namespace, thing, configMap)
	done := make(chan struct{})
	const workers, rounds = 8, 200
	for worker := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			name := b.called(strconv.Itoa(worker))
			for range rounds {
				b.dependencies.ask(name, rules)
				if err := b.relate(t.Context(), name, &observation{}, b.dependencies.asked(name)); err != nil {
					t.Error(err)
				}
				if !slices.Contains(b.Related(x), name) {
					t.Errorf("%s has asked, and is not woken", name)
				}
				b.dependencies.forgetAll(name)
			}
		}()
	}
	for range workers {
		<-done
	}
	if got := b.Related(x); len(got) > 0 {
		t.Errorf("all are gone: got %v", got)
	}
}

// TestRelatedChild asks for what is the object's child too: it is seen in both places.
func TestRelatedChild(t *testing.T) {
	b := newBench(t, Controller{For: thing, Owns: []OwnedKind{{Kind: configMap, Options: apply.KindOptions{}}}, Related: RelatedOptions{Allow: allowAll}})
	answer := strings.TrimSuffix(wants("c"), "}") + `,"related":[` + namedConfigMaps("c") + `]}`
	b.answer = answer
	b.reconcileOnce() // asks, and makes it
	b.reconcileOnce() // sees it
	if diff := cmp.Diff(map[string][]string{"ConfigMap.v1": {b.name.Namespace + "/c"}}, b.related()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b.did()
	b.reconcileOnce()
	if diff := cmp.Diff(did{}, b.did()); diff != "" {
		t.Errorf("it is at rest: -want +got:\n%s", diff)
	}
}
