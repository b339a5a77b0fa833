package kube

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// watched returns a Cache that holds all of a kind.
func watched(t *testing.T, client *Client, kind schema.GroupVersionKind) (*Cache, cache.SharedIndexInformer) {
	t.Helper()
	c := NewCache(client, byTeam)
	informer, err := c.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the cache has all there is", c.Synced)
	return c, informer
}

// TestCache follows objects through a watch.
func TestCache(t *testing.T) {
	b := newBench(t)
	team := func(name string) string {
		return strings.Replace(`,"metadata":{"name":"a","labels":{"team":"T"}}`, "T", name, 1)
	}
	before := b.apply(b.id(partKind, "before"), "")
	c, informer := watched(t, b.Client, partKind)
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
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { note("added", object) },
		UpdateFunc: func(_, object any) { note("updated", object) },
		DeleteFunc: func(object any) { note("deleted", object) },
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the handler has all there is", registration.HasSynced)
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
	c, _ := watched(t, b.Client, statusesKind)
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
	c := NewCache(clientOf(t, nil), byTeam)
	if found, err := c.Get(t.Context(), ID{configMapKind, types.NamespacedName{Namespace: "default", Name: "a"}}); err == nil {
		t.Errorf("got %v, want an error", found)
	}
	if found, err := c.ByIndex(t.Context(), configMapKind, "red"); err == nil {
		t.Errorf("got %v, want an error", found)
	}
}

// TestCacheWatchesOnce has two controllers of one kind.
func TestCacheWatchesOnce(t *testing.T) {
	b := newBench(t)
	c, first := watched(t, b.Client, partKind)
	second, err := c.Watch(t.Context(), partKind)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("they must share what they watch")
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
			c, _ := watched(t, client, partKind)
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
