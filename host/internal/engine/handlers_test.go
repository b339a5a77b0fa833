package engine

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

var (
	modern = schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Modern"}
	plain  = schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Plain"}
)

// childOf returns a ConfigMap with an owner reference.
func childOf(apiVersion, kind string, controller bool) *kube.Object {
	return &kube.Object{
		Kind:           schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
		NamespacedName: types.NamespacedName{Namespace: "n", Name: "c"},
		Owners:         []kube.Owner{{APIVersion: apiVersion, Kind: kind, Name: "o", UID: "u", Controller: controller}},
	}
}

func TestOwners(t *testing.T) {
	inNamespace := key{modern, types.NamespacedName{Namespace: "n", Name: "o"}}
	tests := map[string]struct {
		reason string
		child  *kube.Object
		want   []key
	}{
		"its controller":              {"it is to look after the child", childOf("engine.test/v1", "Modern", true), []key{inNamespace}},
		"in another version":          {"it is the same object, and it is reconciled in the config's version", childOf("engine.test/v2", "Modern", true), []key{inNamespace}},
		"cluster-scoped":              {"it has no namespace, though the child has one", childOf("engine.test/v1", "Plain", true), []key{{plain, types.NamespacedName{Name: "o"}}}},
		"an owner, not a controller":  {"somebody else looks after the child", childOf("engine.test/v1", "Modern", false), nil},
		"of another kind":             {"we do not reconcile it", childOf("engine.test/v1", "Other", true), nil},
		"of that kind, other group":   {"we do not reconcile it", childOf("other.test/v1", "Modern", true), nil},
		"nobody":                      {"it is not a child", &kube.Object{Kind: modern}, nil},
		"with a version that is none": {"whoever wrote it, it does no harm", childOf("a/b/c", "Modern", true), nil},
	}
	owners := ownersAmong([]reconcile.Kind{{GroupVersionKind: modern, Namespaced: true}, {GroupVersionKind: plain}})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, owners(tt.child)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestOwnedHandler follows a child through its events.
func TestOwnedHandler(t *testing.T) {
	owner := key{modern, types.NamespacedName{Namespace: "n", Name: "o"}}
	waiting := key{plain, types.NamespacedName{Name: "w"}}
	var gone []bool
	seen := func(_ *kube.Object, isGone bool) []key {
		gone = append(gone, isGone)
		return []key{waiting}
	}
	handler := ownedHandler([]reconcile.Kind{{GroupVersionKind: modern, Namespaced: true}}, seen)
	ours, orphan := childOf("engine.test/v1", "Modern", true), childOf("engine.test/v1", "Modern", false)
	tests := map[string]struct {
		reason string
		happen func(q queue)
		woken  []key
		gone   []bool
	}{
		"created": {"its owner waits to see it", func(q queue) {
			handler.Create(t.Context(), event.TypedCreateEvent[*kube.Object]{Object: ours}, q)
		}, []key{owner, waiting}, []bool{false}},
		"orphaned": {"its owner wants to know", func(q queue) {
			handler.Update(t.Context(), event.TypedUpdateEvent[*kube.Object]{ObjectOld: ours, ObjectNew: orphan}, q)
		}, []key{owner, waiting}, []bool{false, false}},
		"deleted": {"its owner makes it again, and must not wait to see it", func(q queue) {
			handler.Delete(t.Context(), event.TypedDeleteEvent[*kube.Object]{Object: ours}, q)
		}, []key{owner, waiting}, []bool{true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			gone = nil
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[key]())
			defer queue.ShutDown()
			tt.happen(queue)
			var woken []key
			for queue.Len() > 0 {
				k, _ := queue.Get()
				woken = append(woken, k)
				queue.Done(k)
			}
			if diff := cmp.Diff([]any{tt.woken, tt.gone}, []any{woken, gone}); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// TestWatchSource gives the handler what informers give when a deletion was missed: the last known state.
func TestWatchSource(t *testing.T) {
	var gone []string
	handler := &childHandler{gone: handler.TypedFuncs[*kube.Object, key]{
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*kube.Object], _ queue) {
			gone = append(gone, e.Object.Name)
		},
	}}
	events := (&watchSource{handler: handler}).events(t.Context(), nil)
	events.OnDelete(childOf("engine.test/v1", "Modern", true))
	events.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: childOf("engine.test/v1", "Modern", true)})
	events.OnDelete("something else")
	if diff := cmp.Diff([]string{"c", "c"}, gone); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestEventMessage has messages that are too long for the API server.
func TestEventMessage(t *testing.T) {
	tests := map[string]struct {
		reason  string
		message string
		want    string
	}{
		"short":             {"it is recorded as it is", "short", "short"},
		"just short enough": {"it is recorded as it is", strings.Repeat("a", maxMessage), strings.Repeat("a", maxMessage)},
		"too long":          {"the end is cut off, and it shows", strings.Repeat("a", maxMessage+1), strings.Repeat("a", maxMessage-3) + "…"},
		"cut in a letter":   {"half a letter would be refused", strings.Repeat("é", maxMessage), strings.Repeat("é", (maxMessage-3)/2) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := record.NewFakeRecorder(1)
			recorder{fake}.Event(&kube.Object{Kind: modern}, "Normal", "R", tt.message)
			got := strings.TrimPrefix(<-fake.Events, "Normal R ")
			if diff := cmp.Diff(tt.want, got); diff != "" || len(got) > maxMessage || !utf8.ValidString(got) {
				t.Errorf("%s: %d bytes: -want +got:\n%s", tt.reason, len(got), diff)
			}
		})
	}
}
