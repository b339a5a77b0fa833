package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The commands of the tests run in namespace wasmloop, as those of deploy/README.md do.
const namespace = "wasmloop"

// chart is how the tests install it: the images are there already, and there is no registry to ask.
const chart = "deploy/charts/wasmloop --namespace " + namespace + " --set image.pullPolicy=Never"

// TestChart is the life of a release: from helm install to helm uninstall, as a user has it.
func TestChart(t *testing.T) {
	defer func() {
		if t.Failed() {
			out, _ := try(t, "kubectl -n "+namespace+" get all,events,lease; kubectl -n "+namespace+" describe pods; kubectl -n "+namespace+" logs --selector app.kubernetes.io/component=host --prefix --tail 100")
			t.Log(out)
		}
	}()
	figure(t, "helm install --wait, with a sample controller", took(func() {
		sh(t, "helm install wasmloop "+chart+" --create-namespace --wait --timeout 90s")
	}))
	figure(t, "helm test", took(func() { sh(t, "helm test wasmloop --namespace "+namespace) }))
	hardened(t)
	figure(t, "memory of the Pod that works, with one sample (MiB)", memoryOf(t, leader(t)))

	registry(t)
	address := sh(t, "kubectl -n registry get service registry -o jsonpath='{.spec.clusterIP}'") // the node has no DNS of the cluster's
	sh(t, "bin/wasmloop push modules/namespacelist/namespacelist.wasm oci://"+address+":5000/namespacelist:1.0 --plain-http")
	figure(t, "helm upgrade --wait, with another config and a module from a registry", took(func() {
		sh(t, "helm upgrade wasmloop "+chart+" --wait --values host/test/cluster/testdata/values.yaml")
	}))
	figure(t, "until the running hosts have taken the config up", took(func() {
		sh(t, "kubectl apply -f config/samples/zoo.yaml")
		eventually(t, "a child of a controller that the config adds", func() error {
			_, err := try(t, "kubectl get configmaps --all-namespaces -o yaml | grep 'wasmloop.dev/owned-by: namespacelist/'")
			return err
		})
	}))
	figure(t, "helm upgrade --wait, to another version of the image", took(func() {
		sh(t, "helm upgrade wasmloop "+chart+" --wait --values host/test/cluster/testdata/values.yaml --set image.tag="+version(t)+"-next")
	}))
	if images := sh(t, "kubectl -n "+namespace+" get pods -l app.kubernetes.io/component=host -o jsonpath='{.items[*].spec.containers[0].image}'"); !strings.Contains(images, "-next") {
		t.Errorf("after the upgrade the Pods run %s", images)
	}
	reconciles(t, "after-upgrade")
	figure(t, "helm rollback --wait", took(func() { sh(t, "helm rollback wasmloop 1 --namespace "+namespace+" --wait") }))
	reconciles(t, "after-rollback")

	handOver(t)
	killUnderLoad(t)

	sh(t, "kubectl -n "+namespace+" delete services -l wasmloop.dev/sample=serviceaddress --field-selector metadata.name!=wasmloop-metrics")
	sh(t, "helm uninstall wasmloop --namespace "+namespace+" --wait")
	if left := sh(t, "kubectl -n "+namespace+" get deployments,services,roles,rolebindings,poddisruptionbudgets -o name; kubectl get clusterroles,clusterrolebindings -o name | grep wasmloop || true"); left != "" {
		t.Errorf("helm uninstall leaves behind: %s", left)
	}
}

// version returns that of the image that the chart runs.
func version(t *testing.T) string {
	t.Helper()
	return sh(t, "sed -n 's/^appVersion: //p' deploy/charts/wasmloop/Chart.yaml")
}

// hardened wants the host's Pods to be as confined as the chart says: nothing but reading as another user than root.
func hardened(t *testing.T) {
	t.Helper()
	pid := hostProcess(t, leader(t))
	status := sh(t, "cat /proc/"+pid+"/status")
	for _, want := range []string{"Uid:\t65532\t65532", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"} {
		if !strings.Contains(status, want) {
			t.Errorf("the host's process lacks %q:\n%s", want, status)
		}
	}
	if mounts := sh(t, "awk '$2 == \"/\"' /proc/"+pid+"/mounts"); !strings.Contains(mounts, " ro,") {
		t.Errorf("the root file system can be written to: %s", mounts)
	}
	if token := sh(t, "tr '\\0' '\\n' < /proc/"+pid+"/environ; ls /proc/"+pid+"/root/var/run/secrets/kubernetes.io/serviceaccount"); !strings.Contains(token, "token") {
		t.Errorf("the host has no projected token: %s", token)
	}
}

// leader returns the Pod that holds the Lease.
func leader(t *testing.T) string {
	t.Helper()
	var pod string
	eventually(t, "a host to lead", func() error {
		holder, err := try(t, "kubectl -n "+namespace+" get lease wasmloop -o jsonpath='{.spec.holderIdentity}'")
		if err != nil || holder == "" {
			return fmt.Errorf("nobody holds the Lease: %s (%w)", holder, err)
		}
		pod, _, _ = strings.Cut(holder, "_")
		return nil
	})
	return pod
}

// hostProcess returns the number of a Pod's process, in the cluster's namespaces.
func hostProcess(t *testing.T, pod string) string {
	t.Helper()
	id := sh(t, "kubectl -n "+namespace+" get pod "+pod+" -o jsonpath='{.status.containerStatuses[0].containerID}'")
	return sh(t, "ctr --namespace k8s.io tasks list | awk '$1 == \""+strings.TrimPrefix(id, "containerd://")+"\" {print $2}'")
}

// memoryOf returns what a Pod's process has resident, in MiB.
func memoryOf(t *testing.T, pod string) string {
	t.Helper()
	kilobytes, err := strconv.Atoi(sh(t, "awk '/^VmRSS/ {print $2}' /proc/"+hostProcess(t, pod)+"/status"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.0f", float64(kilobytes)/1024)
}

// registry starts a registry in the cluster.
func registry(t *testing.T) {
	t.Helper()
	sh(t, "kubectl apply -f host/test/cluster/testdata/registry.yaml && kubectl -n registry wait --for condition=Ready pod/registry --timeout 60s")
}

const sampleService = `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": %q, "namespace": "` + namespace + `", "labels": {"wasmloop.dev/sample": "serviceaddress"}}, "spec": {"ports": [{"port": %d}]}}`

// makeServices makes Services that the sample writes the addresses of.
func makeServices(t *testing.T, names ...string) {
	t.Helper()
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf(sampleService, name, 80)
	}
	path := filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(path, []byte(`{"apiVersion": "v1", "kind": "List", "items": [`+strings.Join(list, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, "kubectl apply -f "+path)
}

// reconciles wants a new object to be reconciled, and returns when it was.
func reconciles(t *testing.T, name string) {
	t.Helper()
	makeServices(t, name)
	eventually(t, name+" to be reconciled", func() error {
		_, err := try(t, "kubectl -n "+namespace+" get configmap "+name+"-address")
		return err
	})
}

// handOver measures how long nobody reconciles when the Pod that works goes, and when it is killed.
func handOver(t *testing.T) {
	t.Helper()
	for name, end := range map[string]string{
		"the Pod that works is deleted": "kubectl -n " + namespace + " delete pod %s --wait=false",
		"its process is killed":         "kill -9 $(ctr --namespace k8s.io tasks list | awk '$1 == \"%[2]s\" {print $2}')",
	} {
		pod := leader(t)
		id := strings.TrimPrefix(sh(t, "kubectl -n "+namespace+" get pod "+pod+" -o jsonpath='{.status.containerStatuses[0].containerID}'"), "containerd://")
		command := strings.ReplaceAll(end, "%[2]s", id)
		if strings.Contains(command, "%s") {
			command = fmt.Sprintf(command, pod)
		}
		sh(t, command)
		figure(t, "until another reconciles, when "+name, took(func() { reconciles(t, "hand-over-"+strconv.Itoa(int(time.Now().UnixNano()%1e6))) }))
		sh(t, "kubectl -n "+namespace+" rollout status deployment/wasmloop --timeout 120s")
	}
}

// killUnderLoad deletes the Pod that works, time and again, while Services are made and changed. In the end each has its address,
// once.
func killUnderLoad(t *testing.T) {
	t.Helper()
	const rounds, each = 4, 25
	for round := range rounds {
		names := make([]string, each)
		for i := range names {
			names[i] = fmt.Sprintf("load-%d-%d", round, i)
		}
		makeServices(t, names...)
		sh(t, "kubectl -n "+namespace+" delete pod "+leader(t)+" --wait=false --grace-period "+strconv.Itoa((round%2)*15))
		sh(t, "kubectl -n "+namespace+" patch service "+names[0]+" --type merge --patch '{\"spec\": {\"ports\": [{\"port\": 81}]}}'")
	}
	eventually(t, "all Services to be reconciled", func() error {
		var addresses struct {
			Items []struct {
				Metadata struct{ Name string }
				Data     map[string]string
			}
		}
		out, err := try(t, "kubectl -n "+namespace+" get configmaps -o json")
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		if err := json.Unmarshal([]byte(out), &addresses); err != nil {
			return err
		}
		right := 0
		for _, address := range addresses.Items {
			if !strings.HasPrefix(address.Metadata.Name, "load-") {
				continue
			}
			want := "80"
			if strings.HasSuffix(address.Metadata.Name, "-0-address") {
				want = "81"
			}
			if strings.Contains(fmt.Sprint(address.Data), ":"+want) {
				right++
			}
		}
		if right != rounds*each {
			return fmt.Errorf("%d of %d are as they should be", right, rounds*each)
		}
		return nil
	})
}
