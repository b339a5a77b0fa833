package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// In these stories kube-controller-manager's own controllers work beside ours: they make the Pods of ReplicaSets and
// DaemonSets. A kubelet there is none, and its part is played by podrunner, and where a Pod is to end or to be late, by the
// story.

const (
	appsExample  = "apps.example.com/v1"
	batchExample = "batch.example.com/v1"
)

// blueGreen is one whose Pods are ready when the story opens their gate.
const blueGreen = `
apiVersion: apps.example.com/v1
kind: BlueGreenDeployment
metadata: {name: shop}
spec:
  replicas: 2
  ports: [{port: 80, targetPort: 8080}]
  template:
    spec:
      readinessGates: [{conditionType: example.com/open}]
      containers: [{name: web, image: example.com/web:1}]
`

// A change of template brings up the other colour beside the one that serves, and only then the Service turns.
func TestBlueGreen(t *testing.T) {
	namespace := newNamespace(t)
	shop := create(t, namespace, blueGreen)
	serving := func(color string) func(*unstructured.Unstructured) error {
		return field(color, "spec", "selector", "apps.example.com/color")
	}
	progress := func(reason string) func(*unstructured.Unstructured) error {
		return conditionReason("Progressing", reason)
	}
	t.Run("it begins with blue", func(t *testing.T) {
		waitFor(t, "v1", "Service", namespace, "shop", serving("blue"))
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-blue", field(int64(2), "status", "replicas"))
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", condition("Available", "False"))
		openGates(t, namespace, "example.com/web:1", 2)
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", field(int64(2), "status", "readyReplicas"))
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", condition("Available", "True"))
	})
	setImage(t, shop, "example.com/web:2")
	t.Run("green comes up, and blue serves", func(t *testing.T) {
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-green", field(int64(2), "status", "replicas"))
		openGates(t, namespace, "example.com/web:2", 1)
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-green", field(int64(1), "status", "readyReplicas"))
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", conditionMessage("Progressing", "1 of 2 replicas of green are ready"))
		waitFor(t, "v1", "Service", namespace, "shop", serving("blue"))
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-blue", field(int64(2), "status", "readyReplicas"))
	})
	t.Run("a newer template in between drains green first", func(t *testing.T) {
		setImage(t, shop, "example.com/web:3")
		openGates(t, namespace, "example.com/web:3", 1)
		if old := podsOf(t, namespace, "example.com/web:2"); len(old) > 0 {
			t.Errorf("%d Pods of the template in between are still there", len(old))
		}
		waitFor(t, "v1", "Service", namespace, "shop", serving("blue"))
	})
	t.Run("when green is ready the Service turns and blue goes", func(t *testing.T) {
		openGates(t, namespace, "example.com/web:3", 2)
		waitFor(t, "v1", "Service", namespace, "shop", serving("green"))
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-blue", field(int64(0), "status", "replicas"))
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", field("green", "status", "activeColor"))
		waitFor(t, appsExample, "BlueGreenDeployment", namespace, "shop", progress("Complete"))
		waitFor(t, "apps/v1", "ReplicaSet", namespace, "shop-green", field(int64(2), "status", "readyReplicas"))
	})
	t.Run("a deleted Service leads to green again", func(t *testing.T) {
		old := waitFor(t, "v1", "Service", namespace, "shop", exists)
		remove(t, old)
		waitFor(t, "v1", "Service", namespace, "shop", anotherThan(old))
		waitFor(t, "v1", "Service", namespace, "shop", serving("green"))
	})
	t.Run("the ReplicaSets take their Pods along", func(t *testing.T) {
		remove(t, shop)
		for _, name := range []string{"shop-blue", "shop-green"} {
			waitUntilGone(t, "apps/v1", "ReplicaSet", namespace, name)
		}
		waitUntilGone(t, "v1", "Service", namespace, "shop")
	})
}

// setImage gives the first container of a template another image.
func setImage(t *testing.T, object *unstructured.Unstructured, image string) {
	t.Helper()
	set(t, object, []any{map[string]any{"name": "web", "image": image}}, "spec", "template", "spec", "containers")
}

// podsOf returns the Pods of an image that are not being deleted.
func podsOf(t *testing.T, namespace, image string) []corev1.Pod {
	t.Helper()
	pods := &corev1.PodList{}
	if err := api.List(t.Context(), pods, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || pod.Spec.Containers[0].Image != image
	})
}

// openGates waits until there are Pods of an image that podrunner has seen, and lets so many of them be ready.
func openGates(t *testing.T, namespace, image string, count int) {
	t.Helper()
	eventually(t, func() error {
		pods := podsOf(t, namespace, image)
		if len(pods) < count {
			return fmt.Errorf("there are %d Pods of %s, want %d", len(pods), image, count)
		}
		for _, pod := range pods[:count] {
			gate := corev1.PodCondition{Type: "example.com/open", Status: corev1.ConditionTrue}
			if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == gate.Type }) {
				continue
			}
			before := pod.DeepCopy()
			pod.Status.Conditions = append(pod.Status.Conditions, gate)
			if err := api.Status().Patch(t.Context(), &pod, client.StrategicMergeFrom(before)); err != nil {
				return err
			}
		}
		return nil
	})
}

func conditionReason(kind, reason string) func(*unstructured.Unstructured) error {
	return conditionField(kind, "reason", reason)
}

func conditionMessage(kind, message string) func(*unstructured.Unstructured) error {
	return conditionField(kind, "message", message)
}

// conditionField returns a function that wants a condition to have a field with a value.
func conditionField(kind, name, want string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		for _, item := range conditions {
			if c, _ := item.(map[string]any); c["type"] == kind && c[name] == want {
				return nil
			}
		}
		return fmt.Errorf("%s has no condition %s with %s %q: %v", object.GetName(), kind, name, want, conditions)
	}
}

const indexedJob = `
apiVersion: batch.example.com/v1
kind: IndexedJob
metadata: {name: squares}
spec:
  completions: 4
  parallelism: 2
  template:
    spec:
      containers: [{name: task, image: example.com/task}]
`

// Each index is run once, a few at a time, and what is finished stays so.
func TestIndexedJob(t *testing.T) {
	namespace := newNamespace(t)
	job := create(t, namespace, indexedJob)
	t.Run("the first two run, and know their index", func(t *testing.T) {
		for index := range 2 {
			waitForPod(t, namespace, fmt.Sprintf("squares-%d", index), fmt.Sprint(index))
		}
		waitFor(t, batchExample, "IndexedJob", namespace, "squares", field(int64(2), "status", "active"))
		noPod(t, namespace, "squares-2")
	})
	t.Run("one that has ended makes room for the next", func(t *testing.T) {
		end(t, namespace, "squares-1", corev1.PodSucceeded)
		waitForPod(t, namespace, "squares-2", "2")
		waitFor(t, batchExample, "IndexedJob", namespace, "squares", field("1", "status", "completedIndexes"))
		noPod(t, namespace, "squares-3")
	})
	t.Run("one that is deleted while it runs is run again", func(t *testing.T) {
		old := waitFor(t, "v1", "Pod", namespace, "squares-0", exists)
		remove(t, old)
		waitFor(t, "v1", "Pod", namespace, "squares-0", anotherThan(old))
	})
	t.Run("one that is deleted after it has ended is not", func(t *testing.T) {
		remove(t, waitFor(t, "v1", "Pod", namespace, "squares-1", exists))
		end(t, namespace, "squares-2", corev1.PodFailed)
		waitForPod(t, namespace, "squares-3", "3")
		waitFor(t, batchExample, "IndexedJob", namespace, "squares", field("2", "status", "failedIndexes"))
		noPod(t, namespace, "squares-1")
	})
	t.Run("it has failed when all have ended and one has failed", func(t *testing.T) {
		end(t, namespace, "squares-0", corev1.PodSucceeded)
		end(t, namespace, "squares-3", corev1.PodSucceeded)
		done := waitFor(t, batchExample, "IndexedJob", namespace, "squares", condition("Failed", "True"))
		for _, holds := range []func(*unstructured.Unstructured) error{
			field("0-1,3", "status", "completedIndexes"), field(int64(3), "status", "succeeded"),
			field(int64(1), "status", "failed"), field(int64(0), "status", "active"), condition("Complete", "False"),
		} {
			if err := holds(done); err != nil {
				t.Error(err)
			}
		}
		noPod(t, namespace, "squares-1")
	})
	t.Run("its Pods go with it", func(t *testing.T) {
		remove(t, job)
		for _, index := range []int{0, 2, 3} {
			waitUntilGone(t, "v1", "Pod", namespace, fmt.Sprintf("squares-%d", index))
		}
	})
}

// waitForPod waits for a Pod that is told its index.
func waitForPod(t *testing.T, namespace, name, index string) {
	t.Helper()
	eventually(t, func() error {
		pod := &corev1.Pod{}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, pod); err != nil {
			return err
		}
		if env := pod.Spec.Containers[0].Env; len(env) != 1 || env[0].Name != "JOB_INDEX" || env[0].Value != index {
			return fmt.Errorf("%s has the variables %v", name, env)
		}
		return nil
	})
}

func noPod(t *testing.T, namespace, name string) {
	t.Helper()
	if pod, err := get(t, "v1", "Pod", namespace, name); err == nil && pod.GetDeletionTimestamp() == nil {
		t.Errorf("there is a Pod %s", name)
	}
}

// end plays the kubelet's part when the containers of a Pod have ended.
func end(t *testing.T, namespace, name string, phase corev1.PodPhase) {
	t.Helper()
	// podrunner may have seen the Pod and be about to say that it runs.
	waitFor(t, "v1", "Pod", namespace, name, field("Running", "status", "phase"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status": {"phase": "`+string(phase)+`"}}`))
	if err := api.Status().Patch(t.Context(), pod, patch); err != nil {
		t.Fatal(err)
	}
}

const daemonJob = `
apiVersion: batch.example.com/v1
kind: DaemonJob
metadata: {name: tidy}
spec:
  template:
    spec:
      nodeSelector: {example.com/story: %s}
      readinessGates: [{conditionType: example.com/open}]
      containers: [{name: task, image: example.com/task}]
`

// The task runs on each node once. When it is done everywhere its DaemonSet goes, and only the status is left.
func TestDaemonJob(t *testing.T) {
	namespace := newNamespace(t)
	job := create(t, namespace, fmt.Sprintf(daemonJob, namespace))
	t.Run("without a node it waits", func(t *testing.T) {
		waitFor(t, batchExample, "DaemonJob", namespace, "tidy", conditionReason("Complete", "NoNodes"))
	})
	for _, name := range []string{"a", "b"} {
		newNode(t, namespace+"-"+name, namespace)
	}
	t.Run("each node gets a Pod that does the task first", func(t *testing.T) {
		set := waitFor(t, "apps/v1", "DaemonSet", namespace, "tidy", field(int64(2), "status", "currentNumberScheduled"))
		tasks, _, _ := unstructured.NestedSlice(set.Object, "spec", "template", "spec", "initContainers")
		if len(tasks) != 1 || tasks[0].(map[string]any)["image"] != "example.com/task" {
			t.Errorf("the init containers are %v", tasks)
		}
	})
	pause := "registry.k8s.io/pause:3.10"
	t.Run("one of two is not enough", func(t *testing.T) {
		openGates(t, namespace, pause, 1)
		waitFor(t, batchExample, "DaemonJob", namespace, "tidy", conditionMessage("Complete", "done on 1 of 2 nodes"))
		waitFor(t, "apps/v1", "DaemonSet", namespace, "tidy", exists)
	})
	t.Run("when all are done the DaemonSet goes and the status stays", func(t *testing.T) {
		openGates(t, namespace, pause, 2)
		waitUntilGone(t, "apps/v1", "DaemonSet", namespace, "tidy")
		done := waitFor(t, batchExample, "DaemonJob", namespace, "tidy", condition("Complete", "True"))
		if err := field(int64(2), "status", "succeeded")(done); err != nil {
			t.Error(err)
		}
		eventually(t, func() error {
			if left := podsOf(t, namespace, pause); len(left) > 0 {
				return fmt.Errorf("%d Pods are left", len(left))
			}
			return nil
		})
	})
	newNode(t, namespace+"-c", namespace)
	t.Run("a new node changes nothing any more", func(t *testing.T) {
		set(t, job, "seen", "metadata", "annotations", "example.com/touch")
		shared.waitForLog(t, "DaemonSet", namespace+"/tidy", "child deleted")
		if sets := daemonSets(t, namespace); len(sets) > 0 {
			t.Errorf("the task is run again: %v", sets)
		}
		waitFor(t, batchExample, "DaemonJob", namespace, "tidy", condition("Complete", "True"))
	})
	t.Run("another task is another job", func(t *testing.T) {
		set(t, job, []any{map[string]any{"name": "task", "image": "example.com/other"}}, "spec", "template", "spec", "containers")
		waitFor(t, "apps/v1", "DaemonSet", namespace, "tidy", field(int64(3), "status", "currentNumberScheduled"))
		waitFor(t, batchExample, "DaemonJob", namespace, "tidy", condition("Complete", "False"))
	})
}

// newNode makes a node for one story.
func newNode(t *testing.T, name, story string) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"example.com/story": story}}}
	if err := api.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.WithoutCancel(t.Context()), node); err != nil {
			t.Error(err)
		}
	})
}

func daemonSets(t *testing.T, namespace string) (names []string) {
	t.Helper()
	list := &appsv1.DaemonSetList{}
	if err := api.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, set := range list.Items {
		names = append(names, strings.Join([]string{set.Namespace, set.Name}, "/"))
	}
	return names
}
