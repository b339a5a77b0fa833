package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// What comes of a write is tested against a real server, in the folder differential. The tests here are of the rest.

var configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

const widgetCRD = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.test.dev}, spec: {
	group: test.dev, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [
	{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}, status: {type: object, properties: {conditions: {type: array, items: {type: object, properties: {observedGeneration: {type: integer}}}}}}}}}},
	{name: v2, served: true, storage: false, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}, status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}]}}`

// noon is what the clock of the tests shows.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newServer(t testing.TB, options Options) *Server {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(widgetCRD), crd); err != nil {
		t.Fatal(err)
	}
	options.CRDs = append(options.CRDs, crd)
	if options.Now == nil {
		options.Now = func() time.Time { return noon }
	}
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func clientOf(t testing.TB, server *Server) client.WithWatch {
	t.Helper()
	api, err := client.NewWithWatch(server.Config(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	parsed := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &parsed.Object); err != nil {
		t.Fatal(err)
	}
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// create creates objects, and returns the last of them.
func create(t testing.TB, server *Server, texts ...string) (last *unstructured.Unstructured) {
	t.Helper()
	for _, text := range texts {
		sent := object(t, text)
		answer, err := server.Do(context.Background(), Request{Verb: Create, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Object: sent, Manager: "test"})
		if err != nil {
			t.Fatal(err)
		}
		last = answer.Object
	}
	return last
}

func configMap(name, more string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: default%s}}", name, more)
}

func ownedBy(owner *unstructured.Unstructured) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, name: %s, uid: %s, blockOwnerDeletion: true}", owner.GetName(), owner.GetUID())
}

func remove(t testing.TB, server *Server, name string, policy metav1.DeletionPropagation) {
	t.Helper()
	_, err := server.Do(context.Background(), Request{
		Verb: Delete, Kind: configMapKind, NamespacedName: types.NamespacedName{Namespace: "default", Name: name}, Delete: metav1.DeleteOptions{PropagationPolicy: &policy},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// names returns the names of the ConfigMaps that are there, with what they wait for.
func names(server *Server) []string {
	found := []string{}
	for _, each := range server.Objects() {
		if each.GroupVersionKind() == configMapKind {
			found = append(found, strings.Join(append([]string{each.GetName()}, each.GetFinalizers()...), " "))
		}
	}
	return found
}

// TestCollectGarbage lets owners go in each of the ways there are.
func TestCollectGarbage(t *testing.T) {
	tests := map[string]struct {
		reason string
		policy metav1.DeletionPropagation
		before []string
		after  []string
	}{
		"background": {"the dependents go later, but not one that still has another owner", metav1.DeletePropagationBackground, []string{"both", "child", "grandchild", "other"}, []string{"both", "other"}},
		"foreground": {"the owner waits for its dependents", metav1.DeletePropagationForeground, []string{"both", "child", "grandchild", "other", "owner foregroundDeletion"}, []string{"other"}},
		"orphan":     {"the dependents stay", metav1.DeletePropagationOrphan, []string{"both", "child", "grandchild", "other", "owner orphan"}, []string{"both", "child", "grandchild", "other"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, Options{})
			owner := create(t, server, configMap("owner", ""))
			other := create(t, server, configMap("other", ""))
			child := create(t, server, configMap("child", ", ownerReferences: ["+ownedBy(owner)+"]"))
			create(t, server, configMap("grandchild", ", ownerReferences: ["+ownedBy(child)+"]"))
			create(t, server, configMap("both", ", ownerReferences: ["+ownedBy(owner)+", "+ownedBy(other)+"]"))
			if made := server.CollectGarbage(); made != 0 {
				t.Errorf("%d changes with nothing to do", made)
			}
			remove(t, server, "owner", tt.policy)
			if diff := cmp.Diff(tt.before, names(server)); diff != "" {
				t.Errorf("%s, before: -want +got:\n%s", tt.reason, diff)
			}
			server.CollectGarbage()
			if diff := cmp.Diff(tt.after, names(server)); diff != "" {
				t.Errorf("%s, after: -want +got:\n%s", tt.reason, diff)
			}
			if both := server.Get(configMapKind, types.NamespacedName{Namespace: "default", Name: "both"}); both != nil && len(both.GetOwnerReferences()) != 1 {
				t.Errorf("it still has owners %v", both.GetOwnerReferences())
			}
		})
	}
}

// TestNamespace deletes a namespace with something in it.
func TestNamespace(t *testing.T) {
	server := newServer(t, Options{})
	api := clientOf(t, server)
	create(t, server, "{apiVersion: v1, kind: Namespace, metadata: {name: room}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: room}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: room, finalizers: [x.io/f]}}")
	if err := api.Delete(t.Context(), object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: room}}")); err != nil {
		t.Fatal(err)
	}
	err := api.Create(t.Context(), object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: late, namespace: room}}"))
	if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, "NamespaceTerminating") {
		t.Errorf("got %v for a create in a namespace that goes", err)
	}
	server.CollectGarbage()
	if diff := cmp.Diff([]string{"kept x.io/f"}, names(server)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	kept := server.Get(configMapKind, types.NamespacedName{Namespace: "room", Name: "kept"})
	kept.SetFinalizers(nil)
	if err := api.Update(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	server.CollectGarbage()
	if namespace := server.Get(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, types.NamespacedName{Name: "room"}); namespace != nil {
		t.Errorf("it is still there: %v", namespace)
	}
}

// TestIntercept does to a write what a harness does.
func TestIntercept(t *testing.T) {
	lost := errors.New("the connection broke")
	tests := map[string]struct {
		reason    string
		intercept func(do func() error, cancel func()) error
		done      bool
		check     func(error) bool
	}{
		"carried out":    {"nothing happens", func(do func() error, _ func()) error { return do() }, true, func(err error) bool { return err == nil }},
		"refused":        {"the client hears of it", func(func() error, func()) error { return apierrors.NewTooManyRequestsError("busy") }, false, apierrors.IsTooManyRequests},
		"answer lost":    {"the client cannot know", func(do func() error, _ func()) error { _ = do(); return lost }, true, func(err error) bool { return errors.Is(err, lost) }},
		"never sent":     {"the client cannot know", func(func() error, func()) error { return lost }, false, func(err error) bool { return errors.Is(err, lost) }},
		"client stopped": {"it hears no more", func(do func() error, cancel func()) error { cancel(); return do() }, true, func(err error) bool { return errors.Is(err, context.Canceled) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			server := newServer(t, Options{Intercept: func(_ context.Context, request Request, do func() error) error {
				if request.Number != 1 {
					return do()
				}
				return tt.intercept(do, cancel)
			}})
			err := clientOf(t, server).Create(ctx, object(t, configMap("a", "")))
			if !tt.check(err) {
				t.Errorf("%s: got %v", tt.reason, err)
			}
			if done := len(names(server)) == 1; done != tt.done {
				t.Errorf("%s: carried out: %v", tt.reason, done)
			}
		})
	}
}

// TestAdmit refuses a write, as a quota does.
func TestAdmit(t *testing.T) {
	server := newServer(t, Options{Admit: func(_ context.Context, request Request, object, _ *unstructured.Unstructured) error {
		if request.Kind != configMapKind || object == nil {
			return nil
		}
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, object.GetName(), errors.New("exceeded quota"))
	}})
	err := clientOf(t, server).Create(t.Context(), object(t, configMap("a", "")))
	if !apierrors.IsForbidden(err) || len(names(server)) > 0 {
		t.Errorf("got %v, and %v", err, names(server))
	}
}

// TestReplay does the same twice, which must lead to the same, down to UIDs and times.
func TestReplay(t *testing.T) {
	run := func() []*unstructured.Unstructured {
		server := newServer(t, Options{Seed: 7})
		api := clientOf(t, server)
		create(t, server, "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: a-, namespace: default}}")
		desired := client.ApplyConfigurationFromUnstructured(object(t, "{apiVersion: test.dev/v1, kind: Widget, metadata: {name: w, namespace: default}, spec: {a: 1}}"))
		if err := api.Apply(t.Context(), desired, client.FieldOwner("m")); err != nil {
			t.Fatal(err)
		}
		return server.Objects()
	}
	first, second := run(), run()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	for _, each := range first {
		for _, entry := range each.GetManagedFields() {
			if !entry.Time.Time.Equal(noon) {
				t.Errorf("%s was managed at %v", each.GetName(), entry.Time)
			}
		}
	}
}

// TestVersions reads and writes an object in two versions.
func TestVersions(t *testing.T) {
	server := newServer(t, Options{})
	api := clientOf(t, server)
	for version, owned := range map[string]string{"v1": "a", "v2": "b"} {
		desired := object(t, fmt.Sprintf("{apiVersion: test.dev/%s, kind: Widget, metadata: {name: w, namespace: default}, spec: {%s: 1}}", version, owned))
		if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(desired), client.FieldOwner("m-"+version)); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"v1", "v2"} {
		found := object(t, fmt.Sprintf("{apiVersion: test.dev/%s, kind: Widget}", version))
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "w"}, found); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"a": int64(1), "b": int64(1)}
		if diff := cmp.Diff(want, found.Object["spec"]); diff != "" || found.GetAPIVersion() != "test.dev/"+version {
			t.Errorf("%s: got %s -want +got:\n%s", version, found.GetAPIVersion(), diff)
		}
	}
}

// TestRequests counts what a client does.
func TestRequests(t *testing.T) {
	var got []string
	server := newServer(t, Options{Intercept: func(_ context.Context, request Request, do func() error) error {
		got = append(got, fmt.Sprintf("%d %s %s %s", request.Number, request.Verb, request.Kind.Kind, request.NamespacedName))
		return do()
	}})
	api := clientOf(t, server)
	one := object(t, configMap("a", ""))
	_ = api.Create(t.Context(), one)
	_ = api.Get(t.Context(), client.ObjectKeyFromObject(one), one)
	_ = api.Delete(t.Context(), one)
	want := []string{"1 create ConfigMap default/", "0 get ConfigMap default/a", "2 delete ConfigMap default/a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestChanges reads the log that a simulated cache is fed from.
func TestChanges(t *testing.T) {
	server := newServer(t, Options{})
	start := server.Version()
	create(t, server, configMap("a", ", finalizers: [x.io/f]"))
	remove(t, server, "a", metav1.DeletePropagationBackground)
	last := server.Get(configMapKind, types.NamespacedName{Namespace: "default", Name: "a"})
	last.SetFinalizers(nil)
	if err := clientOf(t, server).Update(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	var got []watch.EventType
	for i, change := range server.Changes(start) {
		got = append(got, change.Type)
		if want := start + int64(i) + 1; change.Version != want || change.Object.GetResourceVersion() != fmt.Sprint(want) {
			t.Errorf("change %d has version %d, its object %s", i, change.Version, change.Object.GetResourceVersion())
		}
	}
	if want := []watch.EventType{watch.Added, watch.Modified, watch.Deleted}; !slices.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDefinition serves a kind while its definition is there.
func TestDefinition(t *testing.T) {
	server := newServer(t, Options{})
	definition := strings.ReplaceAll(strings.ReplaceAll(widgetCRD, "widgets", "things"), "Widget", "Thing")
	thing := "{apiVersion: test.dev/v1, kind: Thing, metadata: {name: a, namespace: default}}"
	create(t, server, definition, thing)
	if found := server.Get(object(t, thing).GroupVersionKind(), types.NamespacedName{Namespace: "default", Name: "a"}); found == nil {
		t.Error("the kind is not served")
	}
	if err := clientOf(t, server).Delete(t.Context(), object(t, definition)); err != nil {
		t.Fatal(err)
	}
	if err := clientOf(t, server).Create(t.Context(), object(t, thing)); err == nil {
		t.Error("the kind is still served")
	}
}
