package localcluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventually fails the test when the condition does not come true in the time that a busy machine may need.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !condition(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// newNamespace makes a namespace and returns its name.
func newNamespace(t *testing.T, clients kubernetes.Interface) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	namespace, err := clients.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func deployment(replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.com/web"}}},
			},
		},
	}
}

// A Deployment becomes Pods, with the token that a real cluster gives them, and takes them with it when it goes.
func TestDeploymentBecomesPods(t *testing.T) {
	clients := clientset(t, shared)
	namespace := newNamespace(t, clients)
	if _, err := clients.AppsV1().Deployments(namespace).Create(t.Context(), deployment(2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var pods []corev1.Pod
	eventually(t, "2 Pods", func() bool {
		pods = podsIn(t, clients, namespace)
		return len(pods) == 2
	})
	if volumes := pods[0].Spec.Volumes; len(volumes) != 1 || volumes[0].Projected == nil {
		t.Errorf("the Pod has volumes %v, want its token alone", volumes)
	}

	if err := clients.AppsV1().Deployments(namespace).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Pods to be collected", func() bool { return len(podsIn(t, clients, namespace)) == 0 })
	sets, err := clients.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(sets.Items) != 0 {
		t.Errorf("ReplicaSets are left: %v, %v", sets.Items, err)
	}
}

func podsIn(t *testing.T, clients kubernetes.Interface, namespace string) []corev1.Pod {
	t.Helper()
	pods, err := clients.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

func TestNamespaceDeletionFinishes(t *testing.T) {
	clients := clientset(t, shared)
	name := newNamespace(t, clients)
	inside := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "inside"}}
	if _, err := clients.CoreV1().ConfigMaps(name).Create(t.Context(), inside, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := clients.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace to be gone", func() bool {
		_, err := clients.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// With Options.CRDs the garbage collector knows a kind before it has any objects.
func TestChildrenOfCustomResourcesAreCollected(t *testing.T) {
	c := start(t, Options{CRDs: []string{"testdata/crd.yaml"}})
	clients := clientset(t, c)
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "test.wasmloop.dev/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "owner", "namespace": "default"},
	}}
	objects, err := client.New(c.Config(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := objects.Create(t.Context(), widget); err != nil {
		t.Fatal(err)
	}
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "child", OwnerReferences: []metav1.OwnerReference{{
		APIVersion: widget.GetAPIVersion(), Kind: widget.GetKind(), Name: widget.GetName(), UID: widget.GetUID(),
		Controller: new(true),
	}}}}
	if _, err := clients.CoreV1().ConfigMaps("default").Create(t.Context(), child, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := objects.Delete(t.Context(), widget); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child to be collected", func() bool {
		_, err := clients.CoreV1().ConfigMaps("default").Get(t.Context(), "child", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// Who only has the kubeconfig file can do what Config can.
func TestKubeconfig(t *testing.T) {
	if !filepath.IsAbs(shared.KubeconfigPath()) {
		t.Errorf("%s is no good in another folder", shared.KubeconfigPath())
	}
	config, err := clientcmd.BuildConfigFromFlags("", shared.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	newNamespace(t, kubernetes.NewForConfigOrDie(config))
}

// Benchmarks count the calls of a client in the audit log.
func TestAPIServerFlags(t *testing.T) {
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [create]}]\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{APIServerFlags: map[string]string{"audit-policy-file": policy, "audit-log-path": log}})
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "made"}}
	if _, err := clientset(t, c).CoreV1().ConfigMaps("default").Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	users := auditedUsers(t, log)
	if got := users["configmaps/made"]; got != "admin" {
		t.Errorf("the ConfigMap was made by %q according to the audit log, want admin", got)
	}
	if got := users["serviceaccounts/default"]; got != "system:kube-controller-manager" {
		t.Errorf("the service account was made by %q according to the audit log, want kube-controller-manager", got)
	}
}

// auditedUsers maps what was created, as resource/name, to who did it.
func auditedUsers(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var event struct {
			User      struct{ Username string }
			ObjectRef struct{ Resource, Name string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		users[event.ObjectRef.Resource+"/"+event.ObjectRef.Name] = event.User.Username
	}
	return users
}
