package e2e

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const markdownView = `
apiVersion: view.example.com/v1
kind: MarkdownView
metadata: {name: guide}
spec:
  markdowns:
    SUMMARY.md: "[Page](page.md)"
    page.md: "# A page"
`

// The whole story of a MarkdownView: everything that a person could do to it and to its children.
func TestMarkdownView(t *testing.T) {
	namespace := newNamespace(t)
	view := create(t, namespace, markdownView)
	waitFor(t, "view.example.com/v1", "MarkdownView", namespace, "guide", condition("Available", "True"))
	children := map[string][2]string{
		"ConfigMap": {"v1", "markdowns-guide"}, "Deployment": {"apps/v1", "viewer-guide"}, "Service": {"v1", "viewer-guide"},
	}
	for kind, child := range children {
		t.Run("a deleted "+kind+" is made again", func(t *testing.T) {
			old := waitFor(t, child[0], kind, namespace, child[1], exists)
			remove(t, old)
			waitFor(t, child[0], kind, namespace, child[1], anotherThan(old))
		})
	}
	t.Run("an edited child is repaired", func(t *testing.T) {
		deployment := waitFor(t, "apps/v1", "Deployment", namespace, "viewer-guide", exists)
		set(t, deployment, int64(3), "spec", "replicas")
		waitFor(t, "apps/v1", "Deployment", namespace, "viewer-guide", field(int64(1), "spec", "replicas"))
		configMap := waitFor(t, "v1", "ConfigMap", namespace, "markdowns-guide", exists)
		set(t, configMap, "scribble", "data", "page.md")
		waitFor(t, "v1", "ConfigMap", namespace, "markdowns-guide", field("# A page", "data", "page.md"))
	})
	t.Run("a child whose owner reference was taken away gets it back", func(t *testing.T) {
		service := waitFor(t, "v1", "Service", namespace, "viewer-guide", exists)
		set(t, service, []any{}, "metadata", "ownerReferences")
		waitFor(t, "v1", "Service", namespace, "viewer-guide", controlledBy(view))
	})
	t.Run("what others add to a child stays", func(t *testing.T) {
		service := waitFor(t, "v1", "Service", namespace, "viewer-guide", exists)
		set(t, service, "theirs", "metadata", "annotations", "example.com/note")
		waitFor(t, "v1", "Service", namespace, "viewer-guide", field("theirs", "metadata", "annotations", "example.com/note"))
	})
	t.Run("a changed spec is followed", func(t *testing.T) {
		set(t, view, "# Another page", "spec", "markdowns", "page.md")
		set(t, view, int64(2), "spec", "replicas")
		waitFor(t, "v1", "ConfigMap", namespace, "markdowns-guide", field("# Another page", "data", "page.md"))
		waitFor(t, "apps/v1", "Deployment", namespace, "viewer-guide", field(int64(2), "status", "readyReplicas"))
		waitFor(t, "view.example.com/v1", "MarkdownView", namespace, "guide", condition("Available", "True"))
	})
	t.Run("a deleted object takes its children along", func(t *testing.T) {
		remove(t, view)
		for kind, child := range children {
			waitUntilGone(t, child[0], kind, namespace, child[1])
		}
		shared.waitForLog(t, "object is gone", `"controller":"markdownview"`, namespace+"/guide")
	})
}

func controlledBy(owner *unstructured.Unstructured) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		for _, reference := range object.GetOwnerReferences() {
			if reference.UID == owner.GetUID() && reference.Controller != nil && *reference.Controller {
				return nil
			}
		}
		return fmt.Errorf("%s is not controlled by %s", object.GetName(), owner.GetName())
	}
}

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec:
  containers:
  - {name: main, image: example.com/sleeper}
`

// Built-in kinds can be reconciled like any other.
func TestPodLoggerAndPodRunner(t *testing.T) {
	namespace := newNamespace(t)
	sleeper := create(t, namespace, pod)
	shared.waitForLog(t, `"Reconciler is called"`, `"controller":"podlogger"`, namespace+"/sleeper", `"source":"module"`, "sleeper")
	t.Run("podrunner makes it Running and Ready", func(t *testing.T) {
		waitFor(t, "v1", "Pod", namespace, "sleeper", field("Running", "status", "phase"))
		waitFor(t, "v1", "Pod", namespace, "sleeper", condition("Ready", "True"))
	})
	t.Run("the host says that it is gone", func(t *testing.T) {
		remove(t, sleeper)
		shared.waitForLog(t, "object is gone", `"controller":"podlogger"`, namespace+"/sleeper")
	})
}

const replicaSet = `
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: pair}
spec:
  replicas: 1
  selector: {matchLabels: {app: pair}}
  template:
    metadata: {labels: {app: pair}}
    spec:
      containers:
      - {name: first, image: example.com/first}
      - {name: second, image: example.com/second}
`

func TestReplicaSetContainers(t *testing.T) {
	namespace := newNamespace(t)
	pair := create(t, namespace, replicaSet)
	shared.waitForLog(t, `"controller":"replicasetcontainers"`, namespace+"/pair", "first", "second")
	set(t, pair, int64(2), "spec", "replicas")
	eventually(t, func() error {
		pods := &corev1.PodList{}
		if err := api.List(t.Context(), pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if pod.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("Pod %s is %s", pod.Name, pod.Status.Phase)
			}
		}
		if len(pods.Items) != 2 {
			return fmt.Errorf("there are %d Pods", len(pods.Items))
		}
		return nil
	})
}

// A host that starts over a converged cluster writes nothing.
func TestRestartChangesNothing(t *testing.T) {
	namespace := newNamespace(t)
	create(t, namespace, markdownView)
	waitFor(t, "view.example.com/v1", "MarkdownView", namespace, "guide", condition("Available", "True"))
	before := versions(t, namespace)
	if err := shared.Stop(); err != nil {
		t.Fatal(err)
	}
	var err error
	if shared, err = startHost(hostOptions{config: built + "/config.yaml"}); err != nil {
		t.Fatal(err)
	}
	shared.waitForLog(t, "Starting workers", `"controller":"markdownview"`)
	// Another object that is created now is handled after those that were there.
	create(t, namespace, `{apiVersion: view.example.com/v1, kind: MarkdownView, metadata: {name: second}, spec: {markdowns: {SUMMARY.md: x}}}`)
	waitFor(t, "view.example.com/v1", "MarkdownView", namespace, "second", condition("Available", "True"))
	after := versions(t, namespace)
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s was written: resourceVersion %s, before the restart %s", name, after[name], version)
		}
	}
}

// versions returns the resourceVersions of a namespace's objects that the markdownview controller writes.
func versions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	views := &unstructured.UnstructuredList{}
	views.SetAPIVersion("view.example.com/v1")
	views.SetKind("MarkdownViewList")
	for kind, list := range map[string]client.ObjectList{
		"MarkdownView": views, "ConfigMap": &corev1.ConfigMapList{}, "Service": &corev1.ServiceList{}, "Deployment": &appsv1.DeploymentList{},
	} {
		if err := api.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if err := eachItem(list, func(object client.Object) { found[kind+" "+object.GetName()] = object.GetResourceVersion() }); err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 4 {
		t.Fatal(errors.New("expected an object and three children"), found)
	}
	return found
}
