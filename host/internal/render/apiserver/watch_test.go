package apiserver

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func listOf(kind string) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(configMapKind.GroupVersion().WithKind(kind))
	return list
}

func next(t *testing.T, w watch.Interface) string {
	t.Helper()
	select {
	case event := <-w.ResultChan():
		if object, ok := event.Object.(client.Object); ok {
			return fmt.Sprintf("%s %s", event.Type, object.GetName())
		}
		return string(event.Type)
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happens")
		return ""
	}
}

// TestWatchSelected watches objects that come to match a selector and cease to.
func TestWatchSelected(t *testing.T) {
	server := newServer(t, Options{})
	api := clientOf(t, server)
	create(t, server, configMap("there", ", labels: {a: b}"), configMap("unseen", ""))
	w, err := api.Watch(t.Context(), listOf("ConfigMapList"), client.InNamespace("default"), client.MatchingLabels{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	got := []string{next(t, w)}
	label := func(name string, labels map[string]string) {
		found := object(t, configMap(name, ""))
		_ = api.Get(t.Context(), client.ObjectKeyFromObject(found), found)
		found.SetLabels(labels)
		if err := api.Update(t.Context(), found); err != nil {
			t.Fatal(err)
		}
	}
	label("unseen", map[string]string{"a": "b"})
	got = append(got, next(t, w))
	label("unseen", map[string]string{"a": "b", "c": "d"})
	got = append(got, next(t, w))
	label("there", nil)
	got = append(got, next(t, w))
	remove(t, server, "unseen", metav1.DeletePropagationBackground)
	got = append(got, next(t, w))
	want := []string{"ADDED there", "ADDED unseen", "MODIFIED unseen", "DELETED there", "DELETED unseen"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWatchTooOld starts a watch at a version that is forgotten.
func TestWatchTooOld(t *testing.T) {
	server := newServer(t, Options{})
	old := server.Version()
	create(t, server, configMap("a", ""), configMap("b", ""))
	server.Compact(server.Version() - 1)
	w, err := clientOf(t, server).Watch(t.Context(), listOf("ConfigMapList"), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: fmt.Sprint(old)}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	event := <-w.ResultChan()
	if status, ok := event.Object.(*metav1.Status); event.Type != watch.Error || !ok || status.Reason != metav1.StatusReasonExpired {
		t.Errorf("got %v", event)
	}
}

// TestCache runs a controller-runtime cache on the server, as a host does.
func TestCache(t *testing.T) {
	server := newServer(t, Options{})
	create(t, server, configMap("a", ""))
	objects, err := cache.New(server.Config(), cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- objects.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	count := func() int {
		list := listOf("ConfigMapList")
		if err := objects.List(ctx, list, client.InNamespace("default")); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	objects.WaitForCacheSync(ctx)
	if got := count(); got != 1 {
		t.Errorf("%d objects to begin with", got)
	}
	create(t, server, configMap("b", ""))
	for deadline := time.Now().Add(10 * time.Second); count() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the cache does not follow")
		}
	}
}
