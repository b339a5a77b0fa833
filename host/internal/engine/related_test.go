package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

var (
	configMaps = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secrets    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	late       = schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Late"}
)

// patience is how long a test waits for what must happen: far longer than it takes, since machines differ.
const patience = 60 * time.Second

// idleInTests is long after the last reconcile of a test has asked for related objects.
const idleInTests = 500 * time.Millisecond

// eventually tries until there is no error.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("after %s still: %v", patience, err)
}

// room is a namespace with a controller for its Moderns, which the engine runs, with a module of the test's. What a Modern
// asks for is in its annotation, and what it was shown last is remembered.
type room struct {
	t         *testing.T
	namespace string
	api       client.Client
	engine    *Engine
	runner    *runner

	mu    sync.Mutex
	shown map[string]string // the versions of the ConfigMaps that a Modern was shown last, by its name
	last  map[string]*abi.Request
	// answer replaces the answer that a Modern asks for.
	answer func(request *abi.Request) string
	calls  map[string]int
	fail   map[string]string // the events of the host, by the object's name
}

// newRoom starts the controller with the rights that as has. change, if there is any, changes its config.
func newRoom(t *testing.T, as *rest.Config, change ...func(namespace string, entry *config.Controller)) *room {
	t.Helper()
	r := &room{t: t, shown: map[string]string{}, last: map[string]*abi.Request{}, calls: map[string]int{}, fail: map[string]string{}}
	var err error
	if r.api, err = client.New(cluster, client.Options{}); err != nil {
		t.Fatal(err)
	}
	r.namespace = r.create("", `{apiVersion: v1, kind: Namespace, metadata: {generateName: engine-}}`).GetName()
	r.engine = engineOf(t, as)
	entry := config.Controller{Name: "follower", Workers: 2, Resync: "10h", For: []config.Reconciled{{
		GroupVersionKind: config.GroupVersionKind{APIVersion: "engine.test/v1", Kind: "Modern"}, Namespaces: []string{r.namespace},
	}}, Related: config.Related{Allow: []config.AllowedRelated{
		{GroupVersionKind: kindOf(configMaps)}, {GroupVersionKind: kindOf(secrets)}, {GroupVersionKind: kindOf(late)},
	}}}
	for _, change := range change {
		change(r.namespace, &entry)
	}
	account, err := r.engine.accounts.of(&entry)
	if err != nil {
		t.Fatal(err)
	}
	r.runner = &runner{engine: r.engine, account: account, entry: entry, module: reconcile.ModuleFunc(r.call), recorder: r}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.runner.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if left := r.engine.own.cache.Selections(); len(left) > 0 {
			t.Errorf("a controller that has ended leaves watches behind: %v", left)
		}
	})
	return r
}

// engineOf returns an Engine without controllers.
func engineOf(t *testing.T, as *rest.Config) *Engine {
	t.Helper()
	mgr, err := manager.New(as, managerOptions(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{manager: mgr, mapper: setup.NewMapper(as, mgr.GetHTTPClient())}
	if e.kinds.Kinds, err = setup.NewKinds(as, mgr.GetHTTPClient(), e.mapper); err != nil {
		t.Fatal(err)
	}
	e.accounts = accounts{cluster: as, mapper: e.mapper}
	if e.own, err = e.accounts.of(&config.Controller{}); err != nil {
		t.Fatal(err)
	}
	e.relatedIdle, e.reviewInterval = idleInTests, idleInTests
	return e
}

// call is the module.
func (r *room) call(_ context.Context, encoded []byte, _ func(abi.Level, string)) ([]byte, error) {
	request, err := abi.DecodeRequest(encoded)
	if err != nil {
		return nil, err
	}
	var object struct {
		Metadata struct {
			Name        string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(request.Object, &object); err != nil {
		return nil, err
	}
	var shown []string
	for _, found := range request.Related["ConfigMap.v1"] {
		var configMap struct {
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := json.Unmarshal(found, &configMap); err != nil {
			return nil, err
		}
		shown = append(shown, configMap.Metadata.Name+"="+configMap.Data["version"])
	}
	slices.Sort(shown)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown[object.Metadata.Name] = strings.Join(shown, " ")
	r.calls[object.Metadata.Name]++
	r.last[object.Metadata.Name] = request
	if r.answer != nil {
		return []byte(r.answer(request)), nil
	}
	return []byte(`{"related":[` + object.Metadata.Annotations["asks"] + `]}`), nil
}

// Event implements reconcile.Recorder.
func (r *room) Event(object *kube.Object, _, reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[object.Name] = reason + ": " + message
}

func objectOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

func (r *room) create(namespace, text string) *unstructured.Unstructured {
	r.t.Helper()
	object := objectOf(r.t, text)
	object.SetNamespace(namespace)
	if err := r.api.Create(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
	return object
}

// modern makes a Modern that asks for something.
func (r *room) modern(name, asks string) {
	r.t.Helper()
	r.create(r.namespace, `{apiVersion: engine.test/v1, kind: Modern, metadata: {name: `+name+`, annotations: {asks: '`+asks+`'}}}`)
}

func (r *room) configMap(name, app, version string) *unstructured.Unstructured {
	r.t.Helper()
	return r.create(r.namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: `+name+`, labels: {app: `+app+`}}, data: {version: `+version+`}}`)
}

func (r *room) update(object *unstructured.Unstructured) {
	r.t.Helper()
	if err := r.api.Update(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
}

// sees waits until a Modern was shown just these ConfigMaps.
func (r *room) sees(name, want string) {
	r.t.Helper()
	eventually(r.t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if got, called := r.shown[name]; !called || got != want {
			return fmt.Errorf("%s has seen %q (is it called? %t), want %q", name, got, called, want)
		}
		return nil
	})
}

// seesOf waits until a Modern was shown so many related objects of a kind.
func (r *room) seesOf(name string, kind schema.GroupVersionKind, want int) {
	r.t.Helper()
	eventually(r.t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		request := r.last[name]
		if request == nil {
			return fmt.Errorf("%s was not called yet", name)
		}
		if found, asked := request.Related[abi.KindKey(kind.GroupVersion().String(), kind.Kind)]; !asked || len(found) != want {
			return fmt.Errorf("%s was shown %v, want %d of %s", name, request.Related, want, kind.Kind)
		}
		return nil
	})
}

// TestFollow changes related objects in a cluster, and has those see it that asked for them.
func TestFollow(t *testing.T) {
	r := newRoom(t, cluster)
	r.modern("by-name", `{"apiVersion":"v1","kind":"ConfigMap","names":["x","later"]}`)
	r.modern("by-label", `{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"web"}}}`)
	r.modern("by-nothing", ``)
	r.sees("by-name", "")
	r.sees("by-label", "")
	r.sees("by-nothing", "")
	x := r.configMap("x", "web", "v1")
	t.Run("one that is created", func(*testing.T) {
		r.sees("by-name", "x=v1")
		r.sees("by-label", "x=v1")
	})
	t.Run("one that changes", func(t *testing.T) {
		if err := unstructured.SetNestedField(x.Object, "v2", "data", "version"); err != nil {
			t.Fatal(err)
		}
		r.update(x)
		r.sees("by-name", "x=v2")
		r.sees("by-label", "x=v2")
	})
	t.Run("one that loses its label", func(*testing.T) {
		x.SetLabels(nil)
		r.update(x)
		r.sees("by-label", "")
		r.sees("by-name", "x=v2")
	})
	t.Run("one that was asked for long before", func(*testing.T) {
		r.configMap("later", "web", "v1")
		r.sees("by-name", "later=v1 x=v2")
		r.sees("by-label", "later=v1")
	})
	t.Run("one that is deleted", func(t *testing.T) {
		if err := r.api.Delete(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		r.sees("by-name", "later=v1")
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if calls := r.calls["by-nothing"]; calls != 1 {
		t.Errorf("one that asks for nothing is called %d times, want once", calls)
	}
}

// TestFollowWhatCannotBeHad asks for kinds that are not served or may not be listed: who asks for them says why, and nobody
// else is harmed.
func TestFollowWhatCannotBeHad(t *testing.T) {
	r := newRoom(t, restricted(t))
	r.modern("late", `{"apiVersion":"engine.test/v1","kind":"Late"}`)
	r.modern("forbidden", `{"apiVersion":"v1","kind":"Secret"}`)
	failsWith := func(name string, parts ...string) {
		t.Helper()
		eventually(t, func() error {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, part := range parts {
				if !strings.Contains(r.fail[name], part) {
					return fmt.Errorf("%s says %q, want %q in it", name, r.fail[name], part)
				}
			}
			return nil
		})
	}
	failsWith("late", "RelatedFailed: cannot read the related objects of kind Late: ", `no matches for kind "Late" in version "engine.test/v1"`)
	failsWith("forbidden", "RelatedFailed: cannot read the related objects of kind Secret: ", "secrets is forbidden")
	r.modern("fine", `{"apiVersion":"v1","kind":"ConfigMap"}`)
	r.sees("fine", "")
	r.configMap("x", "web", "v1")
	r.sees("fine", "x=v1")
	if err := r.engine.ready(nil); err != nil {
		t.Errorf("what cannot be had makes the host not ready: %v", err)
	}
	if got := gauge(t, missingKinds.WithLabelValues("follower", "Late", "engine.test/v1")); got != 1 {
		t.Errorf("the metrics say %v of the kind that is waited for, want 1", got)
	}
	r.create("", `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: late.engine.test}
spec:
  group: engine.test
  scope: Namespaced
  names: {kind: Late, plural: late, singular: late}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`)
	r.seesOf("late", late, 0)
	r.create(r.namespace, `{apiVersion: engine.test/v1, kind: Late, metadata: {name: x}}`)
	r.seesOf("late", late, 1)
}

// restricted returns a config of somebody who may do all to the kinds of this test, and read ConfigMaps.
func restricted(t *testing.T) *rest.Config {
	t.Helper()
	r := &room{t: t}
	var err error
	if r.api, err = client.New(cluster, client.Options{}); err != nil {
		t.Fatal(err)
	}
	r.create("", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: restricted}
rules:
- {apiGroups: [engine.test], resources: ["*"], verbs: ["*"]}
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
`)
	r.create("", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: restricted}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: restricted}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: restricted}]
`)
	restricted := rest.CopyConfig(cluster)
	restricted.Impersonate = rest.ImpersonationConfig{UserName: "restricted"}
	// What was granted counts a moment later.
	as, err := client.New(restricted, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(configMaps)
	eventually(t, func() error { return as.List(t.Context(), list) })
	list.SetGroupVersionKind(secrets)
	if err := as.List(t.Context(), list); !apierrors.IsForbidden(err) {
		t.Fatalf("listing secrets: got %v, want it to be forbidden", err)
	}
	return restricted
}

// TestFollowPatience fails at once where others have waited in vain for the first list.
func TestFollowPatience(t *testing.T) {
	e := engineOf(t, cluster)
	watch, err := e.own.cache.Watch(nil)
	if err != nil {
		t.Fatal(err)
	}
	there := false
	r := &related{followed: map[schema.GroupVersionKind]*followedKind{
		configMaps: {watch: watch, synced: func() bool { return there }, namespaced: true, patience: time.Now().Add(-time.Second)},
	}}
	if _, err := r.follow(t.Context(), configMaps); err == nil || !strings.Contains(err.Error(), "the objects of kind ConfigMap cannot be listed") {
		t.Errorf("got the error %v", err)
	}
	there = true
	if namespaced, err := r.follow(t.Context(), configMaps); err != nil || !namespaced {
		t.Errorf("it is there now: got %t, %v", namespaced, err)
	}
}

// TestRelatedHandler wakes by old and new labels, with less haste than what somebody has just changed, and not at all by an
// event without a change.
func TestRelatedHandler(t *testing.T) {
	r := &related{reconcilers: dispatcher{}}
	reader := &pretender{related: r}
	module := reconcile.ModuleFunc(func(_ context.Context, encoded []byte, _ func(abi.Level, string)) ([]byte, error) {
		request, err := abi.DecodeRequest(encoded)
		if err != nil {
			return nil, err
		}
		var object struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(request.Object, &object); err != nil {
			return nil, err
		}
		return []byte(`{"related":[{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"` + object.Metadata.Name + `"}}}]}`), nil
	})
	r.reconcilers[modern] = reconcile.New(reconcile.Controller{
		Name: "c", For: reconcile.Kind{GroupVersionKind: modern, Namespaced: true},
		Related: reconcile.RelatedOptions{Reader: reader, Allow: []reconcile.AllowedRelated{{Kind: configMaps}}},
	}, module, reader, apply.New("c", reader, nil, apply.Options{}), nil)
	for _, name := range []string{"web", "db"} {
		if _, err := r.reconcilers.Reconcile(t.Context(), key{modern, types.NamespacedName{Namespace: "n", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	config := func(version, app string) *kube.Object {
		return &kube.Object{
			Kind: configMaps, NamespacedName: types.NamespacedName{Namespace: "n", Name: "c"}, ResourceVersion: version,
			JSON: []byte(`{"metadata":{"labels":{"app":"` + app + `"}}}`),
		}
	}
	handler := r.handler()
	tests := map[string]struct {
		reason string
		happen func(q queue)
		want   []string
	}{
		"created": {"one has asked for it", func(q queue) {
			handler.Create(t.Context(), event.TypedCreateEvent[*kube.Object]{Object: config("1", "web")}, q)
		}, []string{"web"}},
		"relabelled": {"the one loses it, the other gains it", func(q queue) {
			handler.Update(t.Context(), event.TypedUpdateEvent[*kube.Object]{ObjectOld: config("1", "web"), ObjectNew: config("2", "db")}, q)
		}, []string{"db", "web"}},
		"changed": {"once is enough", func(q queue) {
			handler.Update(t.Context(), event.TypedUpdateEvent[*kube.Object]{ObjectOld: config("1", "web"), ObjectNew: config("2", "web")}, q)
		}, []string{"web"}},
		"not changed": {"it is but told again", func(q queue) {
			handler.Update(t.Context(), event.TypedUpdateEvent[*kube.Object]{ObjectOld: config("1", "web"), ObjectNew: config("1", "web")}, q)
		}, nil},
		"deleted": {"one has asked for it", func(q queue) {
			handler.Delete(t.Context(), event.TypedDeleteEvent[*kube.Object]{Object: config("1", "db")}, q)
		}, []string{"db"}},
		"of nobody": {"nobody has asked for it", func(q queue) {
			handler.Create(t.Context(), event.TypedCreateEvent[*kube.Object]{Object: config("1", "other")}, q)
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			queue := priorityqueue.New[key]("test")
			defer queue.ShutDown()
			tt.happen(queue)
			// What comes with no haste is last: a marker with less tells that all has come.
			queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(relatedPriority - 1)}, key{})
			var woken []string
			for {
				item, priority, _ := queue.GetWithPriority()
				queue.Done(item)
				if item == (key{}) {
					break
				}
				if woken = append(woken, item.Name); priority != relatedPriority {
					t.Errorf("%s has the priority %d, want %d", item.Name, priority, relatedPriority)
				}
			}
			slices.Sort(woken)
			if diff := cmp.Diff(tt.want, woken); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// pretender is a cache in which each Modern is there, and nothing else.
type pretender struct {
	*related
	version string // of all objects
}

func (*pretender) Follow(context.Context, schema.GroupVersionKind, types.NamespacedName) (bool, error) {
	return true, nil
}

func (p *pretender) Get(_ context.Context, id kube.ID) (*kube.Object, error) {
	return &kube.Object{
		Kind: id.GroupVersionKind, NamespacedName: id.NamespacedName, UID: types.UID(id.Name), ResourceVersion: "1" + p.version,
		JSON: []byte(`{"metadata":{"name":"` + id.Name + `"}}`),
	}, nil
}

func (*pretender) ByIndex(context.Context, schema.GroupVersionKind, string) ([]*kube.Object, error) {
	return nil, nil
}

func (*pretender) InNamespace(context.Context, schema.GroupVersionKind, string) ([]*kube.Object, error) {
	return nil, nil
}
