package kube

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// deadline is when a test gives up waiting.
const deadline = 30 * time.Second

// byTeam is an index by label.
func byTeam(object *Object) []string {
	labels, _, err := object.LabelsAndAnnotations()
	if err != nil || labels["team"] == "" {
		return nil
	}
	return []string{labels["team"]}
}

// until waits for something to be so.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, deadline, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// watched returns a Cache that holds all of a kind, and what watches it.
func watched(t *testing.T, client *Client, kind schema.GroupVersionKind) (*Cache, Watches) {
	t.Helper()
	c := NewCache(client, byTeam)
	watch, err := c.Watch(nil, Selection{GroupVersionKind: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watch.Close)
	until(t, "the cache has all there is", c.Synced)
	return c, Watches{kind: watch}
}

// TestCache follows objects through a watch.
func TestCache(t *testing.T) {
	b := newBench(t)
	team := func(name string) string {
		return strings.Replace(`,"metadata":{"name":"a","labels":{"team":"T"}}`, "T", name, 1)
	}
	before := b.apply(b.id(partKind, "before"), "")
	_, c := watched(t, b.Client, partKind)
	show := func(id ID) *Object {
		t.Helper()
		found, err := c.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	indexed := func(key string) []*Object {
		t.Helper()
		found, err := c.ByIndex(t.Context(), partKind, key)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if diff := cmp.Diff(before, show(before.ID()), exported); diff != "" {
		t.Errorf("what was there before: -want +got:\n%s", diff)
	}

	events := make(chan string, 10)
	note := func(event string, object any) {
		if object := object.(*Object); object.NamespacedName == b.id(partKind, "a").NamespacedName {
			events <- event
		}
	}
	synced, err := c[partKind].Handle(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { note("added", object) },
		UpdateFunc: func(_, object any) { note("updated", object) },
		DeleteFunc: func(object any) { note("deleted", object) },
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the handler has all there is", synced)
	id := b.id(partKind, "a")
	wantEvent := func(want string) {
		t.Helper()
		select {
		case got := <-events:
			if got != want {
				t.Errorf("it was %s, want that it was %s", got, want)
			}
		case <-time.After(deadline):
			t.Fatalf("nobody says that it was %s", want)
		}
	}
	patch := func(fields string) *Object {
		t.Helper()
		patched, err := b.Patch(t.Context(), id, []byte("{"+strings.TrimPrefix(fields, ",")+"}"), tester)
		if err != nil {
			t.Fatal(err)
		}
		return patched
	}

	b.apply(id, "")
	wantEvent("added")
	red := patch(team("red"))
	wantEvent("updated")
	if diff := cmp.Diff([]*Object{red}, indexed("red"), exported); diff != "" {
		t.Errorf("by its key: -want +got:\n%s", diff)
	}
	blue := patch(team("blue"))
	wantEvent("updated")
	if diff := cmp.Diff([][]*Object{{}, {blue}}, [][]*Object{indexed("red"), indexed("blue")}, exported, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("by its new key: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(blue, show(id), exported); diff != "" {
		t.Errorf("as it was written: -want +got:\n%s", diff)
	}
	if err := b.Delete(t.Context(), blue); err != nil {
		t.Fatal(err)
	}
	wantEvent("deleted")
	if found := show(id); found != nil {
		t.Errorf("it is gone: got %v", found)
	}
}

// TestCacheOfClusterScoped has names without a namespace, of a kind that is named like an API server's errors.
func TestCacheOfClusterScoped(t *testing.T) {
	b := newBench(t)
	want := b.apply(ID{statusesKind, types.NamespacedName{Name: b.namespace}}, `,"spec":{"size":1}`)
	_, c := watched(t, b.Client, statusesKind)
	got, err := c.Get(t.Context(), want.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, exported); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCacheOfWhatIsNotWatched must not say that there is nothing.
func TestCacheOfWhatIsNotWatched(t *testing.T) {
	c := Watches{}
	if found, err := c.Get(t.Context(), ID{configMapKind, types.NamespacedName{Namespace: "default", Name: "a"}}); err == nil {
		t.Errorf("got %v, want an error", found)
	}
	if found, err := c.ByIndex(t.Context(), configMapKind, "red"); err == nil {
		t.Errorf("got %v, want an error", found)
	}
}

// TestCacheShares has two controllers of one kind, which end one after the other.
func TestCacheShares(t *testing.T) {
	b := newBench(t)
	var sent requests
	c := NewCache(clientOf(t, sent.noted), byTeam)
	watches := make([]*Watch, 2)
	for i := range watches {
		var err error
		if watches[i], err = c.Watch(nil, Selection{GroupVersionKind: partKind, Namespace: b.namespace}); err != nil {
			t.Fatal(err)
		}
		until(t, "the cache has all there is", c.Synced)
	}
	if diff := cmp.Diff([]string{"stream"}, sent.taken()); diff != "" {
		t.Errorf("they must share what they watch: -want +got:\n%s", diff)
	}
	told := make([]atomic.Int64, 2)
	for i, watch := range watches {
		if _, err := watch.Handle(cache.ResourceEventHandlerFuncs{AddFunc: func(any) { told[i].Add(1) }}); err != nil {
			t.Fatal(err)
		}
	}
	watches[0].Close()
	id := b.apply(b.id(partKind, "a"), "").ID()
	until(t, "the other is told", func() bool { return told[1].Load() == 1 })
	if found, err := watches[1].get(id.NamespacedName); err != nil || found == nil {
		t.Errorf("the other still has it: got %v, %v", found, err)
	}
	if told[0].Load() != 0 {
		t.Error("who has ended is told of nothing")
	}
	watches[1].Close()
	watches[1].Close() // twice is once
	if left := c.Selections(); len(left) != 0 {
		t.Errorf("nobody watches any more: got %v", left)
	}
}

// TestSelections watches parts of a kind: all else is never seen.
func TestSelections(t *testing.T) {
	b, other := newBench(t), newBench(t)
	b.labelled("red", "red")
	b.labelled("blue", "blue")
	other.labelled("red", "red")
	here := Selection{GroupVersionKind: partKind, Namespace: b.namespace}
	with := func(change func(*Selection)) Selection {
		selection := here
		change(&selection)
		return selection
	}
	tests := map[string]struct {
		reason     string
		selections []Selection
		want       []string
	}{
		"a namespace":    {"", []Selection{here}, []string{"N/blue", "N/red"}},
		"two namespaces": {"", []Selection{here, {GroupVersionKind: partKind, Namespace: other.namespace}}, []string{"M/red", "N/blue", "N/red"}},
		"labels":         {"", []Selection{with(func(s *Selection) { s.Labels = "team=red" })}, []string{"N/red"}},
		"fields":         {"", []Selection{with(func(s *Selection) { s.Fields = "metadata.name=blue" })}, []string{"N/blue"}},
		"both":           {"", []Selection{with(func(s *Selection) { s.Labels, s.Fields = "team=red", "metadata.name=blue" })}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewCache(b.Client, byTeam)
			watch, err := c.Watch(nil, tt.selections...)
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Close()
			until(t, "the cache has all there is", c.Synced)
			watches := Watches{partKind: watch}
			all, err := watches.InNamespace(t.Context(), partKind, "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, object := range all {
				letter := map[string]string{b.namespace: "N", other.namespace: "M"}[object.Namespace]
				got = append(got, letter+"/"+object.Name)
				if found, err := watches.Get(t.Context(), object.ID()); err != nil || found != object {
					t.Errorf("by its name: got %v, %v", found, err)
				}
				inIts, err := watches.InNamespace(t.Context(), partKind, object.Namespace)
				if err != nil || !slices.Contains(inIts, object) {
					t.Errorf("in its namespace: got %v, %v", inIts, err)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			reds, err := watches.ByIndex(t.Context(), partKind, "red")
			if want := len(slices.DeleteFunc(got, func(name string) bool { return !strings.HasSuffix(name, "/red") })); err != nil || len(reds) != want {
				t.Errorf("by index: got %v, %v, want %d", reds, err, want)
			}
		})
	}
}

// TestSelectionKeeps has a part of each object kept, from the first list on and of each change.
func TestSelectionKeeps(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*Selection)
		want   string
	}{
		"all": {
			"", func(*Selection) {},
			`{"apiVersion":"kube.test/v1","kind":"Part","metadata":{"labels":{"team":"red"},"name":"a"},"spec":{"more":{"x":1,"y":2},"size":1}}`,
		},
		"fields": {
			"what names the object is kept always", func(s *Selection) { s.Keep = PathsOf("spec.more.y", "spec.none", "metadata.labels") },
			`{"apiVersion":"kube.test/v1","kind":"Part","metadata":{"labels":{"team":"red"},"name":"a"},"spec":{"more":{"y":2}}}`,
		},
		"metadata": {
			"it is of its own kind all the same", func(s *Selection) { s.MetadataOnly = true },
			`{"apiVersion":"kube.test/v1","kind":"Part","metadata":{"name":"a","labels":{"team":"red"}}}`,
		},
		"fields of metadata": {
			"", func(s *Selection) { s.MetadataOnly, s.Keep = true, "spec.size" },
			`{"apiVersion":"kube.test/v1","kind":"Part","metadata":{"name":"a"}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			whole := b.labelled("a", "red")
			selection := Selection{GroupVersionKind: partKind, Namespace: b.namespace}
			tt.change(&selection)
			c := NewCache(b.Client, byTeam)
			watch, err := c.Watch(nil, selection)
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Close()
			until(t, "the cache has all there is", c.Synced)
			check := func(whole *Object, want string) {
				t.Helper()
				var got *Object
				until(t, "the cache shows it", func() bool {
					got, err = watch.get(whole.NamespacedName)
					return err == nil && got.ResourceVersion == whole.ResourceVersion
				})
				if diff := cmp.Diff(want, selected(t, got)); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
				}
				kept, all := *got, *whole
				kept.JSON, all.JSON = nil, nil
				if diff := cmp.Diff(all, kept, exported); diff != "" {
					t.Errorf("what the host knows of it: -want +got:\n%s", diff)
				}
			}
			check(whole, tt.want)
			patched, err := b.Patch(t.Context(), whole.ID(), []byte(`{"metadata":{"finalizers":["kube.test/f"]}}`), tester)
			if err != nil {
				t.Fatal(err)
			}
			check(patched, tt.want)
			if _, err := b.Patch(t.Context(), whole.ID(), []byte(`{"metadata":{"finalizers":null}}`), tester); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// labelled makes a Part of a team.
func (b *bench) labelled(name, team string) *Object {
	b.t.Helper()
	b.apply(b.id(partKind, name), `,"spec":{"size":1,"more":{"x":1,"y":2}}`)
	patched, err := b.Patch(b.t.Context(), b.id(partKind, name), []byte(`{"metadata":{"labels":{"team":"`+team+`"}}}`), tester)
	if err != nil {
		b.t.Fatal(err)
	}
	return patched
}

// selected returns an object's JSON without what the API server makes up.
func selected(t *testing.T, object *Object) string {
	t.Helper()
	return string(Without(object.JSON, []string{
		"metadata.namespace", "metadata.uid", "metadata.creationTimestamp", "metadata.generation", "metadata.finalizers",
	}))
}

// TestWatchOfWhatIsNotServed tells who watches, each time, and goes on trying.
func TestWatchOfWhatIsNotServed(t *testing.T) {
	c := NewCache(clientOf(t, func(config *rest.Config) {
		config.Wrap(func(http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) { return absence(request), nil })
		})
	}), byTeam)
	var all, one atomic.Int64
	c.OnError = func(selection Selection, err error) {
		if selection.Kind == partKind.Kind && apierrors.IsNotFound(err) {
			all.Add(1)
		}
	}
	watch, err := c.Watch(func(err error) {
		if apierrors.IsNotFound(err) {
			one.Add(1)
		}
	}, Selection{GroupVersionKind: partKind})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	until(t, "both have heard of it twice", func() bool { return all.Load() > 1 && one.Load() > 1 })
	if c.Synced() {
		t.Error("the cache cannot have what there is")
	}
}

// absence is how an API server answers that does not serve a kind.
func absence(request *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusNotFound, Header: http.Header{"Content-Type": {"text/plain"}}, Request: request,
		Body: io.NopCloser(strings.NewReader("404 page not found\n")),
	}
}

// TestCacheLists says how a cache is filled: by a stream, and where an API server has none, by lists.
func TestCacheLists(t *testing.T) {
	tests := map[string]struct {
		reason  string
		streams bool
		want    []string
	}{
		"by a stream": {"no list need be held as a whole", true, []string{"stream"}},
		"by lists":    {"an older API server knows no streams", false, []string{"stream", "list", "watch"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			want := b.apply(b.id(partKind, "a"), `,"spec":{"size":1}`)
			requests := &requests{}
			client := clientOf(t, func(config *rest.Config) {
				config.Wrap(func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(request *http.Request) (*http.Response, error) {
						if requests.note(request) == "stream" && !tt.streams {
							return refusal(request), nil
						}
						return next.RoundTrip(request)
					})
				})
			})
			_, c := watched(t, client, partKind)
			until(t, "it has begun to watch", func() bool { return len(requests.taken()) >= len(tt.want) })
			if diff := cmp.Diff(tt.want, requests.taken()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			got, err := c.Get(t.Context(), want.ID())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, exported); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// requests notes what sort of reading a request is.
type requests struct {
	mu   sync.Mutex
	made []string
}

func (r *requests) note(request *http.Request) string {
	query, sort := request.URL.Query(), "list"
	switch {
	case query.Get("sendInitialEvents") == "true":
		sort = "stream"
	case query.Get("watch") == "true":
		sort = "watch"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, sort)
	return sort
}

// noted has a client's requests noted.
func (r *requests) noted(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			r.note(request)
			return next.RoundTrip(request)
		})
	})
}

func (r *requests) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.made...)
}

// refusal is how an API server answers that does not know sendInitialEvents.
func refusal(request *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusUnprocessableEntity, Header: http.Header{"Content-Type": {"application/json"}}, Request: request,
		Body: io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Invalid","code":422,` +
			`"message":"sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}`)),
	}
}
