package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// release is the name of the Helm release and of its namespace, as in deploy/README.md.
const release = "wasmloop"

// upgrade is how the tests install another chart or other values: the images are on the node, and nobody is to be asked for them.
const upgrade = "helm upgrade wasmloop deploy/charts/wasmloop --namespace wasmloop --set image.pullPolicy=Never --wait --timeout 3m "

// TestChart takes a release through its life, as a user would. Each step needs those before it.
func TestChart(t *testing.T) {
	defer func() {
		if t.Failed() {
			explain(t)
		}
	}()
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"install", testInstall},
		{"confinement", testConfinement},
		{"sample", testSample},
		{"helm test", testHelmTest},
		{"upgrade of the config, with a module from a registry", testConfigUpgrade},
		{"upgrade of the version", testVersionUpgrade},
		{"hand-over", testHandOver},
		{"kills under load", testKills},
		{"memory", testMemory},
		{"rollback", testRollback},
		{"uninstall", testUninstall},
	} {
		if !t.Run(step.name, step.run) {
			return // the others would fail for the same reason
		}
	}
}

// explain shows what the cluster knows of a failure, which is gone with it.
func explain(t *testing.T) {
	t.Helper()
	for _, command := range []string{
		"kubectl get pods,jobs -A -o wide", "kubectl get events -A --sort-by=.lastTimestamp | tail -n 25",
		"kubectl -n wasmloop logs -l app.kubernetes.io/component=host --prefix --tail=25",
	} {
		output, _ := try(t, command)
		t.Logf("%s\n%s", command, output)
	}
}

func testInstall(t *testing.T) {
	figure(t, "helm install --wait", took(func() {
		sh(t, upgrade+"--install --create-namespace")
	}))
	if pods := hosts(t); len(pods) != 2 {
		t.Errorf("there are %d Pods, want 2", len(pods))
	}
}

// The kernel says what holds for the host's process, whatever the manifests say.
func testConfinement(t *testing.T) {
	for _, pod := range hosts(t) {
		p := processOf(t, &pod)
		got := map[string]string{"root": p.rootMount(t)}
		for _, key := range []string{"Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"} {
			got[key] = p.status(t, key)
		}
		want := map[string]string{
			"root": "ro", "Uid": "65532", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the process in Pod %s (-want +got):\n%s", pod.Name, diff)
		}
		if token := tokenVolume(&pod); token == nil || pod.Spec.ServiceAccountName != release {
			t.Errorf("Pod %s has no projected token, or not that of the release's account: %q", pod.Name, pod.Spec.ServiceAccountName)
		}
	}
}

func tokenVolume(pod *corev1.Pod) *corev1.ServiceAccountTokenProjection {
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ServiceAccountToken != nil {
				return source.ServiceAccountToken
			}
		}
	}
	return nil
}

// The sample writes down the address of the host's own metrics, and of whatever else has its label.
func testSample(t *testing.T) {
	s := newServices(t)
	s.create("sample", 80)
	s.waitFor("sample", 80)
	s.change("sample", 81)
	s.waitFor("sample", 81)
	address := &corev1.ConfigMap{}
	if err := shared.client.Get(t.Context(), client.ObjectKey{Namespace: release, Name: "sample-address"}, address); err != nil {
		t.Fatal(err)
	}
	for _, entry := range address.ManagedFields {
		if entry.Manager != "wasmloop/serviceaddress" {
			t.Errorf("%s has written to the ConfigMap", entry.Manager)
		}
	}
	s.delete("sample")
	s.waitUntilSettled()
	sh(t, "kubectl -n wasmloop get configmap wasmloop-metrics-address")
	if output, err := try(t, "kubectl auth can-i list secrets -A --as system:serviceaccount:wasmloop:wasmloop"); err == nil || output != "no" {
		t.Errorf("the host's account may list Secrets: %s", output)
	}
}

func testHelmTest(t *testing.T) {
	figure(t, "helm test", took(func() { sh(t, "helm test wasmloop --namespace wasmloop --timeout 3m") }))
}

// The module goes to a registry in the cluster by push, and comes from there into the hosts' Pods, which run on.
func testConfigUpgrade(t *testing.T) {
	sh(t, "kubectl apply -f host/test/cluster/testdata/registry.yaml && kubectl -n registry wait --for condition=Ready pod/registry --timeout 2m")
	sh(t, "wasmloop push --plain-http modules/namespacelist/namespacelist.wasm oci://registry.registry.svc:5000/namespacelist:1.0")
	figure(t, "helm upgrade --wait, another config", took(func() { sh(t, upgrade+"--values host/test/cluster/testdata/values.yaml") }))
	figure(t, "until the running hosts go by it", took(func() {
		sh(t, "kubectl apply -f config/samples/zoo.yaml && kubectl wait --for condition=Ready namespacelisting/zoo --timeout 2m")
	}))
	if got := sh(t, "kubectl get configmap zoo-list -o jsonpath='{.data}'"); !strings.Contains(got, "zoo-tests") {
		t.Errorf("the list of namespaces is %s", got)
	}
	sh(t, "helm test wasmloop --namespace wasmloop --timeout 3m")
}

// While one version takes another's place, objects are reconciled by one of the two.
func testVersionUpgrade(t *testing.T) {
	p := newProber(t)
	figure(t, "nobody reconciles, at most, while nothing happens", p.during(func() error {
		time.Sleep(3 * time.Second)
		return nil
	}))
	gap := p.during(func() error {
		began := time.Now()
		output, err := try(t, upgrade+"--values host/test/cluster/testdata/values.yaml --set image.tag="+version(t)+"-next")
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		figure(t, "helm upgrade --wait, another version", time.Since(began))
		return nil
	})
	figure(t, "nobody reconciles, at most, during that upgrade", gap)
	p.end()
	checkVersions(t, version(t)+"-next")
}

// version returns that of the image that the chart runs.
func version(t *testing.T) string {
	t.Helper()
	return sh(t, "sed -n 's/^appVersion: //p' deploy/charts/wasmloop/Chart.yaml")
}

// checkVersions asks every host which version it is.
func checkVersions(t *testing.T, want string) {
	t.Helper()
	waitForHosts(t)
	for _, pod := range hosts(t) {
		got := sh(t, "kubectl -n wasmloop exec "+pod.Name+" -- /wasmloop version")
		if words := strings.Fields(got); !slices.Contains(words, "v"+want) {
			t.Errorf("Pod %s runs %s, want version %s", pod.Name, got, want)
		}
	}
}

func testRollback(t *testing.T) {
	figure(t, "helm rollback --wait", took(func() { sh(t, "helm rollback wasmloop 1 --namespace wasmloop --wait --timeout 3m") }))
	checkVersions(t, version(t))
	if config := sh(t, "kubectl -n wasmloop get configmap wasmloop-config -o yaml"); strings.Contains(config, "namespacelist") {
		t.Errorf("the config is still that of the upgrade: %s", config)
	}
	s := newServices(t)
	s.create("rolled-back", 80)
	s.waitFor("rolled-back", 80)
	s.delete("rolled-back")
	s.waitUntilSettled()
}

func testUninstall(t *testing.T) {
	figure(t, "helm uninstall --wait", took(func() { sh(t, "helm uninstall wasmloop --namespace wasmloop --wait --timeout 3m") }))
	kinds := "deployments,pods,services,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
	eventually(t, "all that the release made to be gone", func() error {
		left := sh(t, "kubectl -n wasmloop get "+kinds+",clusterroles,clusterrolebindings -l app.kubernetes.io/instance=wasmloop -o name")
		if left != "" {
			return errors.New(left)
		}
		return nil
	})
	eventually(t, "the child of the release's Service to be collected", func() error {
		err := shared.client.Get(t.Context(), client.ObjectKey{Namespace: release, Name: "wasmloop-metrics-address"}, &corev1.ConfigMap{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
}

// hosts returns the Pods of the release.
func hosts(t *testing.T) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	labels := client.MatchingLabels{"app.kubernetes.io/instance": release, "app.kubernetes.io/component": "host"}
	if err := shared.client.List(t.Context(), &pods, client.InNamespace(release), labels); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: release, Name: name} }
