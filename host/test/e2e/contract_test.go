package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

func eachItem(list client.ObjectList, visit func(client.Object)) error {
	return meta.EachListItem(list, func(item runtime.Object) error {
		visit(item.(client.Object))
		return nil
	})
}

func probe(mode string, children ...string) string {
	return fmt.Sprintf(`{apiVersion: test.wasmloop.dev/v1, kind: Probe, metadata: {name: probe}, spec: {mode: %q, text: hello, children: [%s]}}`,
		mode, join(children))
}

func join(names []string) (list string) {
	for i, name := range names {
		if i > 0 {
			list += ", "
		}
		list += name
	}
	return list
}

// A plain WASI program is a module too.
func TestCommandTier(t *testing.T) {
	namespace := newNamespace(t)
	create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Greeting, metadata: {name: world}}`)
	waitFor(t, "v1", "ConfigMap", namespace, "world-greeting", field("Hello, world", "data", "text"))
	shared.waitForLog(t, "greeting world", `"controller":"greeter"`, namespace+"/world")
}

// Each way to misbehave is told on the object and in the log, changes nothing that was there, and harms nobody else.
func TestMisbehaviour(t *testing.T) {
	cases := map[string]struct {
		reason string
		parts  []string
	}{
		"loop":      {"ModuleFailed", []string{"fuel", "100000000"}},
		"panic":     {"ModuleFailed", []string{"panic", "the fixture panics on purpose"}},
		"trap":      {"ModuleFailed", []string{"exit_code(3)", "the fixture exits on purpose"}},
		"greedy":    {"ModuleFailed", []string{"memory", "48 MiB"}},
		"error":     {"ModuleFailed", []string{"the fixture fails on purpose"}},
		"forbidden": {"InvalidResponse", []string{"children[0]", "v1 Secret", "owns"}},
		"elsewhere": {"InvalidResponse", []string{"children[0]", "metadata.namespace", "kube-system"}},
		"nonsense":  {"InvalidResponse", []string{"children[0].apiVersion", "required"}},
		"requeue":   {"InvalidResponse", []string{"requeueAfter", "clock: true"}},
	}
	for mode, want := range cases {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t)
			object := create(t, namespace, probe("ok", "first", "second"))
			first := waitFor(t, "v1", "ConfigMap", namespace, "first", exists)
			waitFor(t, "test.wasmloop.dev/v1", "Probe", namespace, "probe", field("ok", "status", "mode"))
			set(t, object, mode, "spec", "mode")
			waitForWarning(t, object, want.reason, want.parts...)
			shared.waitForLog(t, append(want.parts[:1:1], `"controller":"probe"`, namespace+"/probe", `"level":"ERROR"`)...)
			for _, name := range []string{"first", "second"} {
				waitFor(t, "v1", "ConfigMap", namespace, name, field("hello", "data", "text"))
			}
			// The same controller still follows, and so do the others.
			set(t, object, "ok", "spec", "mode")
			set(t, object, "better", "spec", "text")
			waitFor(t, "v1", "ConfigMap", namespace, "first", field("better", "data", "text"))
			if now := waitFor(t, "v1", "ConfigMap", namespace, "first", exists); now.GetUID() != first.GetUID() {
				t.Error("a child was deleted and made again")
			}
			create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Greeting, metadata: {name: neighbour}}`)
			waitFor(t, "v1", "ConfigMap", namespace, "neighbour-greeting", exists)
		})
	}
}

// A module that cannot be loaded is told of on the objects that need it.
func TestUnknownImport(t *testing.T) {
	namespace := newNamespace(t)
	object := create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Unloadable, metadata: {name: unloadable}}`)
	waitForWarning(t, object, "ModuleFailed", "unknownimport", "env.launch_missiles")
	shared.waitForLog(t, `"level":"ERROR"`, "module cannot be loaded", "env.launch_missiles")
}

func TestPrune(t *testing.T) {
	namespace := newNamespace(t)
	object := create(t, namespace, probe("ok", "a", "b", "c", "d", "e"))
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		waitFor(t, "v1", "ConfigMap", namespace, name, exists)
	}
	t.Run("no opinion prunes nothing", func(t *testing.T) {
		set(t, object, "noopinion", "spec", "mode")
		set(t, object, []any{"a"}, "spec", "children")
		settled(t, namespace)
		if got := configMaps(t, namespace); got != 5 {
			t.Errorf("%d ConfigMaps are left of 5", got)
		}
	})
	t.Run("more than the limit prunes nothing", func(t *testing.T) {
		set(t, object, "ok", "spec", "mode")
		waitForWarning(t, object, "PruneFailed", "4 children", "maxPerReconcile")
		if got := configMaps(t, namespace); got != 5 {
			t.Errorf("%d ConfigMaps are left of 5", got)
		}
	})
	t.Run("what the response leaves out is deleted", func(t *testing.T) {
		set(t, object, []any{"a", "b", "c"}, "spec", "children")
		waitUntilGone(t, "v1", "ConfigMap", namespace, "d")
		waitUntilGone(t, "v1", "ConfigMap", namespace, "e")
		if got := configMaps(t, namespace); got != 3 {
			t.Errorf("%d ConfigMaps are left of 3", got)
		}
	})
	t.Run("an empty list deletes all", func(t *testing.T) {
		set(t, object, []any{}, "spec", "children")
		for _, name := range []string{"a", "b", "c"} {
			waitUntilGone(t, "v1", "ConfigMap", namespace, name)
		}
	})
}

// settled waits until the probe controller has handled all that happened so far, in the queue's order.
func settled(t *testing.T, namespace string) {
	t.Helper()
	name := "settled"
	create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Probe, metadata: {name: settled}, spec: {mode: ok}}`)
	waitFor(t, "test.wasmloop.dev/v1", "Probe", namespace, name, field("ok", "status", "mode"))
}

// configMaps counts the ConfigMaps of a namespace, less the one that every namespace has.
func configMaps(t *testing.T, namespace string) (count int) {
	t.Helper()
	list := &corev1.ConfigMapList{}
	if err := api.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		if item.Name != "kube-root-ca.crt" {
			count++
		}
	}
	return count
}

// Objects of others are neither taken over nor deleted.
func TestForeignObjects(t *testing.T) {
	cases := map[string]struct{ annotations, owner, want string }{
		"nobody's":              {want: "belongs to nobody"},
		"with a copied claim":   {annotations: "wasmloop.dev/owned-by: probe/0000/ConfigMap/default/other", want: "belongs to nobody"},
		"of another controller": {owner: "another", want: "belongs to ConfigMap another"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t)
			theirs := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"text": "theirs"}}}
			theirs.SetAPIVersion("v1")
			theirs.SetKind("ConfigMap")
			theirs.SetName("first")
			theirs.SetNamespace(namespace)
			if c.annotations != "" {
				theirs.SetAnnotations(map[string]string{"wasmloop.dev/owned-by": "probe/0000/ConfigMap/default/other"})
			}
			if c.owner != "" {
				owner := create(t, namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: another}}`)
				references := []any{map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap", "name": "another", "uid": string(owner.GetUID()), "controller": true,
				}}
				if err := unstructured.SetNestedSlice(theirs.Object, references, "metadata", "ownerReferences"); err != nil {
					t.Fatal(err)
				}
			}
			if err := api.Create(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			object := create(t, namespace, probe("ok", "first", "second"))
			waitForWarning(t, object, "ApplyFailed", "ConfigMap "+namespace+"/first", c.want)
			waitFor(t, "v1", "ConfigMap", namespace, "second", exists) // the others are applied all the same
			remove(t, object)
			waitUntilGone(t, "v1", "ConfigMap", namespace, "second")
			waitFor(t, "v1", "ConfigMap", namespace, "first", field("theirs", "data", "text"))
		})
	}
}

// A kind that the cluster does not serve is waited for, also when it goes and comes again.
func TestLateKind(t *testing.T) {
	shared.waitForLog(t, "waiting for a kind", "Later.v1.test.wasmloop.dev", `"controller":"later"`)
	if err := localcluster.InstallCRDs(t.Context(), cluster.Config(), "testdata/late"); err != nil {
		t.Fatal(err)
	}
	namespace := newNamespace(t)
	create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Later, metadata: {name: late}, spec: {mode: ok, children: [better-late]}}`)
	waitFor(t, "v1", "ConfigMap", namespace, "better-late", exists)

	definition, err := get(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "laters.test.wasmloop.dev")
	if err != nil {
		t.Fatal(err)
	}
	remove(t, definition)
	waitUntilGone(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition.GetName())
	shared.waitForLog(t, "the cluster does not serve a kind any more", "Kind=Later")
	if err := localcluster.InstallCRDs(t.Context(), cluster.Config(), "testdata/late"); err != nil {
		t.Fatal(err)
	}
	create(t, namespace, `{apiVersion: test.wasmloop.dev/v1, kind: Later, metadata: {name: again}, spec: {mode: ok, children: [once-more]}}`)
	waitFor(t, "v1", "ConfigMap", namespace, "once-more", exists)
}
