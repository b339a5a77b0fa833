package kube

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

var (
	namespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	partKind      = schema.GroupVersionKind{Group: "kube.test", Version: "v1", Kind: "Part"}
	statusesKind  = schema.GroupVersionKind{Group: "kube.test", Version: "v1", Kind: "Status"}

	tester = Write{Manager: "wasmloop/tester"}
)

// benches counts benches, for their names.
var benches atomic.Int32

// bench is a namespace, and a Client that may do all.
type bench struct {
	*Client
	t         *testing.T
	namespace string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{Client: clientOf(t, nil), t: t, namespace: fmt.Sprintf("kube-%d", benches.Add(1))}
	b.apply(ID{namespaceKind, types.NamespacedName{Name: b.namespace}}, "")
	return b
}

// id names an object in the bench's namespace.
func (b *bench) id(kind schema.GroupVersionKind, name string) ID {
	return ID{kind, types.NamespacedName{Namespace: b.namespace, Name: name}}
}

// body is an object with these fields, which begin with a comma.
func body(id ID, fields string) []byte {
	return []byte(`{"apiVersion":"` + id.GroupVersion().String() + `","kind":"` + id.Kind + `","metadata":{"name":"` + id.Name + `"}` + fields + `}`)
}

func (b *bench) apply(id ID, fields string) *Object {
	b.t.Helper()
	applied, err := b.Apply(b.t.Context(), id, body(id, fields), tester)
	if err != nil {
		b.t.Fatal(err)
	}
	return applied
}

// live returns an object, nil if there is none.
func (b *bench) live(id ID) *Object {
	b.t.Helper()
	found, err := b.Get(b.t.Context(), id)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// TestClient writes an object in all ways, each of which returns it as it is then.
func TestClient(t *testing.T) {
	b := newBench(t)
	id := b.id(partKind, "a")
	status := Write{Manager: "wasmloop/tester", Subresource: "status"}
	steps := []struct {
		reason string
		write  func() (*Object, error)
		want   string // spec, labels and status
	}{
		{"apply creates", func() (*Object, error) { return b.Apply(t.Context(), id, body(id, `,"spec":{"size":1}`), tester) }, `map[size:1] map[] <nil>`},
		{"apply changes", func() (*Object, error) { return b.Apply(t.Context(), id, body(id, `,"spec":{"size":2}`), tester) }, `map[size:2] map[] <nil>`},
		{"another one's field is taken over", func() (*Object, error) {
			return b.Apply(t.Context(), id, body(id, `,"spec":{"size":3}`), Write{Manager: "other"})
		}, `map[size:3] map[] <nil>`},
		{"a patch changes just what it names", func() (*Object, error) {
			return b.Patch(t.Context(), id, []byte(`{"metadata":{"labels":{"a":"b"}}}`), tester)
		}, `map[size:3] map[a:b] <nil>`},
		{"the subresource alone is written through it", func() (*Object, error) {
			return b.Apply(t.Context(), id, body(id, `,"spec":{"size":4},"status":{"phase":"x"}`), status)
		}, `map[size:3] map[a:b] map[phase:x]`},
	}
	for _, step := range steps {
		written, err := step.write()
		if err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if diff := cmp.Diff(b.live(id), written, exported); diff != "" {
			t.Errorf("%s: what is there is what was returned: -there +returned:\n%s", step.reason, diff)
		}
		if got := summary(t, written); got != step.want {
			t.Errorf("%s: got %s, want %s", step.reason, got, step.want)
		}
	}
	if found := b.live(id); !found.Manages("wasmloop/tester", "status") || found.Manages("other", "") {
		t.Errorf("managers: got %+v", found.entries)
	}
}

// TestClientReachesAllKinds goes down each sort of path.
func TestClientReachesAllKinds(t *testing.T) {
	b := newBench(t)
	for name, id := range map[string]ID{
		"core, namespaced":                 b.id(configMapKind, "a"),
		"core, cluster-scoped":             {namespaceKind, types.NamespacedName{Name: b.namespace + "-2"}},
		"custom, namespaced":               b.id(partKind, "a"),
		"custom, cluster-scoped, a Status": {statusesKind, types.NamespacedName{Name: b.namespace}},
	} {
		t.Run(name, func(t *testing.T) {
			applied := b.apply(id, "")
			if diff := cmp.Diff(b.live(id), applied, exported); diff != "" || applied.ID() != id {
				t.Errorf("%s: -there +returned:\n%s", applied.ID(), diff)
			}
			if err := b.Delete(t.Context(), applied); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClientErrors has what goes wrong: callers tell it by apimachinery's means.
func TestClientErrors(t *testing.T) {
	b := newBench(t)
	there := b.apply(b.id(configMapKind, "there"), `,"data":{"a":"1"}`)
	absent := b.id(configMapKind, "absent")
	powerless := clientOf(t, func(config *rest.Config) { config.Impersonate.UserName = "nobody" })
	tests := map[string]struct {
		reason string
		err    func() error
		is     func(error) bool
	}{
		"read of what is not there": {"it can be made", func() error {
			_, err := b.Get(t.Context(), absent)
			return err
		}, apierrors.IsNotFound},
		"patch of what is not there": {"a patch makes nothing", func() error {
			_, err := b.Patch(t.Context(), absent, []byte(`{}`), tester)
			return err
		}, apierrors.IsNotFound},
		"deletion of what is not there": {"it is as it should be", func() error {
			return b.Delete(t.Context(), &Object{Kind: configMapKind, NamespacedName: absent.NamespacedName, UID: there.UID, ResourceVersion: "1"})
		}, apierrors.IsNotFound},
		"version of another time": {"somebody was faster", func() error {
			_, err := b.Patch(t.Context(), there.ID(), []byte(`{"metadata":{"resourceVersion":"1"},"data":{"a":"2"}}`), tester)
			return err
		}, apierrors.IsConflict},
		"wrong value": {"the API server says which field it is", func() error {
			id := b.id(partKind, "absent")
			_, err := b.Apply(t.Context(), id, body(id, `,"spec":{"size":10}`), tester)
			return err
		}, func(err error) bool {
			status, ok := err.(apierrors.APIStatus)
			return ok && apierrors.IsInvalid(err) && status.Status().Details.Causes[0].Field == "spec.size"
		}},
		"unknown kind": {"it may be served later", func() error {
			_, err := b.Get(t.Context(), ID{schema.GroupVersionKind{Group: "kube.test", Version: "v1", Kind: "None"}, absent.NamespacedName})
			return err
		}, meta.IsNoMatchError},
		"no right to": {"whoever runs the host must be told", func() error {
			_, err := powerless.Get(t.Context(), there.ID())
			return err
		}, apierrors.IsForbidden},
		"no right to list": {"whoever runs the host must be told", func() error {
			_, err := powerless.List(t.Context(), configMapKind, "", metav1.ListOptions{})
			return err
		}, apierrors.IsForbidden},
		"no right to watch": {"whoever runs the host must be told", func() error {
			_, err := Selection{GroupVersionKind: configMapKind}.watch(t.Context(), powerless, metav1.ListOptions{})
			return err
		}, apierrors.IsForbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.err(); !tt.is(err) {
				t.Errorf("%s: got %T: %v", tt.reason, err, err)
			}
		})
	}
}

// TestDelete deletes only what is just as it was seen.
func TestDelete(t *testing.T) {
	b := newBench(t)
	tests := map[string]struct {
		reason string
		change func(seen *Object)
		is     func(error) bool
		gone   bool
	}{
		"as it is":        {"nobody has changed it", func(*Object) {}, func(err error) bool { return err == nil }, true},
		"of another time": {"somebody has changed it, maybe to keep it", func(seen *Object) { b.apply(seen.ID(), `,"data":{"b":"2"}`) }, apierrors.IsConflict, false},
		"another one by that name": {"it is somebody's", func(seen *Object) {
			if err := b.Delete(t.Context(), b.live(seen.ID())); err != nil {
				t.Fatal(err)
			}
			again := b.apply(seen.ID(), `,"data":{"a":"1"}`)
			seen.ResourceVersion = again.ResourceVersion // so that the UID alone speaks against it
		}, apierrors.IsConflict, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seen := b.apply(b.id(configMapKind, "a"), `,"data":{"a":"1"}`)
			tt.change(seen)
			if err := b.Delete(t.Context(), seen); !tt.is(err) {
				t.Errorf("%s: got %v", tt.reason, err)
			}
			if found := b.live(seen.ID()); (found == nil) != tt.gone {
				t.Errorf("%s: found %v", tt.reason, found)
			}
		})
	}
}

// TestTryCreate asks what would happen, and looks whether anything has.
func TestTryCreate(t *testing.T) {
	b := newBench(t)
	id := b.id(partKind, "a")
	b.apply(id, `,"spec":{"size":1}`)
	nameless := func(fields string) []byte {
		return []byte(`{"apiVersion":"kube.test/v1","kind":"Part","metadata":{"generateName":"try-"}` + fields + `}`)
	}
	if err := b.TryCreate(t.Context(), id, nameless(`,"spec":{"size":2}`), tester); err != nil {
		t.Errorf("it would be created: got %v", err)
	}
	if err := b.TryCreate(t.Context(), id, nameless(`,"spec":{"size":10}`), tester); !apierrors.IsInvalid(err) {
		t.Errorf("it would be refused: got %v", err)
	}
	list, err := b.List(t.Context(), partKind, b.namespace, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Generation != 1 {
		t.Errorf("nothing is changed by it: got %v", list.Items)
	}
}

func TestList(t *testing.T) {
	b := newBench(t)
	other := &bench{Client: b.Client, t: t, namespace: b.namespace + "-2"}
	b.apply(ID{namespaceKind, types.NamespacedName{Name: other.namespace}}, "")
	want := map[string]*Object{}
	for _, object := range []*Object{
		b.apply(b.id(configMapKind, "a"), `,"data":{"a":"1"}`), b.apply(b.id(configMapKind, "b"), ""), other.apply(other.id(configMapKind, "a"), ""),
	} {
		want[object.Namespace+"/"+object.Name] = object
	}
	tests := map[string]struct {
		reason    string
		namespace string
		options   metav1.ListOptions
		want      []string
	}{
		"a namespace":  {"others' are not asked for", b.namespace, metav1.ListOptions{}, []string{b.namespace + "/a", b.namespace + "/b"}},
		"by a field":   {"the API server selects", b.namespace, metav1.ListOptions{FieldSelector: "metadata.name=b"}, []string{b.namespace + "/b"}},
		"in all":       {"no namespace stands for all", "", metav1.ListOptions{FieldSelector: "metadata.name=a"}, []string{other.namespace + "/a", b.namespace + "/a"}},
		"none of them": {"an empty list is no error", b.namespace, metav1.ListOptions{FieldSelector: "metadata.name=c"}, nil},
		"a page":       {"the rest is asked for by its continuation", b.namespace, metav1.ListOptions{Limit: 1}, []string{b.namespace + "/a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			list, err := b.List(t.Context(), configMapKind, tt.namespace, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range list.Items {
				name := item.Namespace + "/" + item.Name
				if want[name] == nil {
					continue // another test's
				}
				got = append(got, name)
				if diff := cmp.Diff(want[name], item, exported); diff != "" {
					t.Errorf("an item is like the object itself: -want +got:\n%s", diff)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			if list.ResourceVersion == "" || (list.Continue != "") != (tt.options.Limit > 0) {
				t.Errorf("a watch goes on from its version: got %+v", list.ListMeta)
			}
		})
	}
}

// TestTransport has the client's requests go through the given HTTP client, whose transport tests and metrics wrap.
func TestTransport(t *testing.T) {
	var accepted []string
	client := clientOf(t, func(config *rest.Config) {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) {
				accepted = append(accepted, request.Method+" "+request.URL.Path+" "+request.Header.Get("Accept"))
				return next.RoundTrip(request)
			})
		})
	})
	if _, err := client.Get(t.Context(), ID{namespaceKind, types.NamespacedName{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"GET /api/v1/namespaces/default application/json"}, accepted); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// summary returns what TestClient looks at.
func summary(t *testing.T, object *Object) string {
	t.Helper()
	spec, err := object.Field("spec")
	if err != nil {
		t.Fatal(err)
	}
	status, err := object.Field("status")
	if err != nil {
		t.Fatal(err)
	}
	labels, _, err := object.LabelsAndAnnotations()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(spec, " ", labels, " ", status)
}
