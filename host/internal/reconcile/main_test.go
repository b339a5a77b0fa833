package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// What the tests share: an API server, and a client that stands for everybody but the Reconciler. Each test keeps to a
// namespace of its own.
var (
	cluster *rest.Config
	api     client.Client
	reads   *kube.Client
)

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, "testdata/crds.yaml", func(config *rest.Config) (err error) {
		cluster = config
		cluster.QPS = -1
		if api, err = client.New(cluster, client.Options{}); err != nil {
			return err
		}
		reads, err = clientOf(cluster)
		return err
	}))
}

func clientOf(config *rest.Config) (*kube.Client, error) {
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return kube.NewClient(config, transport, api.RESTMapper())
}

var (
	thing       = Kind{GroupVersionKind: schema.GroupVersionKind{Group: "reconcile.test", Version: "v1", Kind: "Thing"}, Namespaced: true, Status: apply.StatusOptions{Subresource: true}}
	configMap   = Kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Namespaced: true}
	secret      = Kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, Namespaced: true}
	clusterRole = Kind{GroupVersionKind: schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}}
	namespace   = Kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}}
)

// exported lets cmp compare all there is of an object.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

// owns returns kinds whose children are kept the usual way.
func owns(kinds ...Kind) []OwnedKind {
	owned := make([]OwnedKind, len(kinds))
	for i, kind := range kinds {
		owned[i].Kind = kind
	}
	return owned
}

// cache stands for the cache of a running host, without its delay: it shows what the API server has, or, when it is
// frozen, what it had then.
type cache struct {
	frozen map[kube.ID]*kube.Object
	// unlisted are the kinds that may not be listed.
	unlisted map[schema.GroupVersionKind]error
}

// freeze makes the cache show the objects of these kinds in a namespace as they are now.
func (c *cache) freeze(t *testing.T, inNamespace string, kinds ...Kind) {
	t.Helper()
	frozen := map[kube.ID]*kube.Object{}
	for _, kind := range kinds {
		list, err := reads.List(t.Context(), kind.GroupVersionKind, inNamespace, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range list.Items {
			frozen[object.ID()] = object
		}
	}
	c.frozen = frozen
}

func (c *cache) thaw() { c.frozen = nil }

func (c *cache) show(object *kube.Object) { c.frozen[object.ID()] = object }

// Get implements Reader.
func (c *cache) Get(ctx context.Context, id kube.ID) (*kube.Object, error) {
	if c.frozen != nil {
		return c.frozen[id], nil
	}
	object, err := reads.Get(ctx, id)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return object, err
}

// ByIndex implements Reader.
func (c *cache) ByIndex(ctx context.Context, kind schema.GroupVersionKind, key string) ([]*kube.Object, error) {
	var objects []*kube.Object
	if c.frozen == nil {
		list, err := reads.List(ctx, kind, "", metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		objects = list.Items
	}
	for id, object := range c.frozen {
		if id.GroupVersionKind == kind {
			objects = append(objects, object)
		}
	}
	return slices.DeleteFunc(objects, func(object *kube.Object) bool { return !slices.Contains(IndexKeys(object), key) }), nil
}

// Follow implements RelatedReader.
func (c *cache) Follow(_ context.Context, kind schema.GroupVersionKind, _ types.NamespacedName) (namespaced bool, err error) {
	if err := c.unlisted[kind]; err != nil {
		return false, err
	}
	mapping, err := api.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// InNamespace implements RelatedReader.
func (c *cache) InNamespace(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]*kube.Object, error) {
	if c.frozen == nil {
		list, err := reads.List(ctx, kind, namespace, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	var objects []*kube.Object
	for id, object := range c.frozen {
		if id.GroupVersionKind == kind && (namespace == "" || id.Namespace == namespace) {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// bench is a namespace with a Thing, and a Reconciler for it.
type bench struct {
	*Reconciler
	t         *testing.T
	cache     cache
	object    *unstructured.Unstructured
	name      types.NamespacedName
	time      time.Time
	writes    atomic.Int32
	looks     int  // at children, to apply them
	broken    bool // is the line to the API server
	made      []string
	refuse    func(request *http.Request) bool
	events    []string
	requests  [][]byte
	answer    string
	answerErr error
	// respond makes the answer from the request. nil: it is always the same.
	respond func(request *abi.Request) string
}

// newBench makes a bench whose module answers what answer says.
func newBench(t *testing.T, controller Controller, change ...func(*apply.Options)) *bench {
	t.Helper()
	b := &bench{t: t, time: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), answer: "{}"}
	room := b.create(`{apiVersion: v1, kind: Namespace, metadata: {generateName: reconcile-}}`)
	b.object, b.name.Name = room, room.GetName()
	if controller.For.Namespaced {
		b.name = types.NamespacedName{Namespace: room.GetName(), Name: "a"}
		b.object = b.create(`{apiVersion: reconcile.test/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}`)
	}
	config := rest.CopyConfig(cluster)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			b.writes.Add(1)
			parts := strings.Split(request.URL.Path, "/")
			b.made = append(b.made, request.Method+" "+strings.Join(parts[len(parts)-2:], "/"))
			if b.broken {
				return nil, io.ErrUnexpectedEOF
			}
			if b.refuse != nil && b.refuse(request) {
				return forbidden(request), nil
			}
			return next.RoundTrip(request)
		})
	})
	writer, err := clientOf(config)
	if err != nil {
		t.Fatal(err)
	}
	controller.Name = "tester"
	controller.Related.Reader = &b.cache
	options := apply.Options{MaxPrune: 2, Kinds: map[schema.GroupVersionKind]apply.KindOptions{}}
	for _, kind := range controller.Owns {
		options.Kinds[kind.GroupVersionKind] = kind.Options
	}
	for _, change := range change {
		change(&options)
	}
	b.Reconciler = New(controller, ModuleFunc(b.call), &b.cache, apply.New("tester", looker{b}, writer, options), b)
	b.now = func() time.Time { return b.time }
	return b
}

// looker is the cache as it is read to apply children.
type looker struct{ *bench }

func (l looker) Get(ctx context.Context, id kube.ID) (*kube.Object, error) {
	l.looks++
	return l.cache.Get(ctx, id)
}

// forbidden is how an API server answers who may not do something.
func forbidden(request *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Request: request,
		Body: io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"not you"}`)),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func (b *bench) call(_ context.Context, request []byte, _ func(abi.Level, string)) ([]byte, error) {
	b.requests = append(b.requests, slices.Clone(request))
	answer := b.answer
	if b.respond != nil {
		decoded, err := abi.DecodeRequest(request)
		if err != nil {
			return nil, err
		}
		answer = b.respond(decoded)
	}
	return []byte(b.here(answer)), b.answerErr
}

// Event implements Recorder.
func (b *bench) Event(object *kube.Object, eventType, reason, message string) {
	b.events = append(b.events, fmt.Sprintf("%s %s on %s: %s", eventType, reason, object.Name, message))
}

// create makes an object as somebody else would, in the bench's namespace if there is one already.
func (b *bench) create(text string) *unstructured.Unstructured {
	b.t.Helper()
	return b.createIn(b.name.Namespace, text)
}

func (b *bench) createIn(namespace, text string) *unstructured.Unstructured {
	b.t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		b.t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(encoded); err != nil {
		b.t.Fatal(err)
	}
	object.SetNamespace(namespace)
	if err := api.Create(b.t.Context(), object, client.FieldOwner("somebody")); err != nil {
		b.t.Fatal(err)
	}
	return object
}

// reconcileOnce reconciles once, and fails the test if that fails.
func (b *bench) reconcileOnce() time.Duration {
	b.t.Helper()
	result, err := b.Reconcile(b.t.Context(), b.name)
	if err != nil {
		b.t.Fatal(err)
	}
	return result.RequeueAfter
}

// settle reconciles until the module has nothing to say that is not so, and forgets what was done for it.
func (b *bench) settle(answer string) {
	b.t.Helper()
	b.answer = answer
	b.reconcileOnce()
	for before := int32(-1); before != b.writes.Load(); {
		before = b.writes.Load()
		b.reconcileOnce()
	}
	b.did()
}

// did says what was done since it was asked last.
type did struct {
	Calls, Writes int
	Events        []string
}

func (b *bench) did() did {
	done := did{len(b.requests), int(b.writes.Swap(0)), b.events}
	b.requests, b.events, b.made = nil, nil, nil
	return done
}

// wrote returns the writes since it or did was called last, and what else was done.
func (b *bench) wrote() ([]string, did) {
	made := b.made
	return made, b.did()
}

// resize changes the object's spec, so that the module is called.
func (b *bench) resize(size int) {
	b.t.Helper()
	b.edit(thing, b.name, func(object map[string]any) { object["spec"] = map[string]any{"size": int64(size)} })
}

// delete deletes an object as somebody else would.
func (b *bench) delete(kind Kind, name types.NamespacedName) {
	b.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind.GroupVersionKind)
	object.SetName(name.Name)
	object.SetNamespace(name.Namespace)
	if err := api.Delete(b.t.Context(), object); err != nil {
		b.t.Fatal(err)
	}
}

// newNamespace makes a namespace and returns its name.
func newNamespace(t *testing.T) string {
	t.Helper()
	return (&bench{t: t}).create(`{apiVersion: v1, kind: Namespace, metadata: {generateName: reconcile-}}`).GetName()
}

// observe returns an object as the cache shows it when it is not frozen; nil if it is not there.
func (b *bench) observe(kind Kind, name types.NamespacedName) *kube.Object {
	b.t.Helper()
	object, err := (&cache{}).Get(b.t.Context(), kube.ID{GroupVersionKind: kind.GroupVersionKind, NamespacedName: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return object
}

// raw returns an object as everybody sees it.
func (b *bench) raw(kind Kind, name types.NamespacedName) *unstructured.Unstructured {
	b.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind.GroupVersionKind)
	if err := api.Get(b.t.Context(), name, object); err != nil {
		b.t.Fatal(err)
	}
	return object
}

// called returns the name of an object in the bench's namespace.
func (b *bench) called(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: b.name.Namespace, Name: name}
}

// children returns the names of the ConfigMaps that are there.
func (b *bench) children() []string {
	b.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(configMap.GroupVersionKind)
	if err := api.List(b.t.Context(), list, client.InNamespace(b.name.Namespace)); err != nil {
		b.t.Fatal(err)
	}
	names := []string{}
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	return names
}

// edit changes an object as somebody else would.
func (b *bench) edit(kind Kind, name types.NamespacedName, change func(object map[string]any)) {
	b.t.Helper()
	object := b.raw(kind, name)
	change(object.Object)
	if err := api.Update(b.t.Context(), object, client.FieldOwner("somebody")); err != nil {
		b.t.Fatal(err)
	}
}

// wants returns an answer that wants ConfigMaps of these names, and nothing else.
func wants(names ...string) string {
	children := make([]any, 0, len(names))
	for _, name := range names {
		children = append(children, map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"of": name},
		})
	}
	encoded, err := json.Marshal(map[string]any{"children": children})
	if err != nil {
		panic(err)
	}
	return string(encoded)
}
