package localnode

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"text/template"

	"k8s.io/apimachinery/pkg/util/wait"
)

// The servers' configuration files are templates over what serverSettings returns.
//
//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(templateFiles, "templates/*"))

// pauseImage is the image that keeps a Pod's namespaces.
const pauseImage = "wasmloop.dev/pause:local"

// configure writes a server's configuration file and returns its path.
func (n *node) configure(name string, further map[string]string) (string, error) {
	values := map[string]string{
		"Address": nodeAddress, "PodRange": podRange, "Domain": clusterDomain, "NodeName": nodeName, "PauseImage": pauseImage,
		"Cgroup": "/" + n.Cgroup, "CAFile": n.plane.CAFile(), "Plugins": pluginFolder(), "Networks": n.path("cni"),
		"Images": n.plane.Path("containerd"), "VolumePlugins": n.path("volumeplugins"), "Upstream": n.path("upstream.conf"),
	}
	maps.Copy(values, further)
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, name, values); err != nil {
		return "", err
	}
	return n.path(name), os.WriteFile(n.path(name), text.Bytes(), 0o600)
}

func (n *node) startContainerd(ctx context.Context) error {
	network, err := n.configure("bridge.conflist", nil)
	if err != nil {
		return err
	}
	if err := os.Rename(network, n.path("cni", "bridge.conflist")); err != nil {
		return err
	}
	config, err := n.configure("containerd.toml", nil)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("containerd")
	if err != nil {
		return err
	}
	if err := n.plane.StartServer("containerd", path, "--config", config); err != nil {
		return err
	}
	if err := waitForContainerd(ctx); err != nil {
		return n.plane.Explain("containerd", err)
	}
	return n.loadPause(ctx)
}

func waitForContainerd(ctx context.Context) error {
	var output []byte
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		output, last = exec.CommandContext(ctx, "ctr", "version").CombinedOutput()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("containerd does not answer: %w: %s", errors.Join(err, last), output)
	}
	return nil
}

func (n *node) loadPause(ctx context.Context) error {
	archive, err := archiveProgram(pauseImage, n.plane.Asset("pause"))
	if err != nil {
		return err
	}
	return load(exec.CommandContext(ctx, "ctr", importImage...), archive)
}

func (n *node) startScheduler(context.Context) error {
	kubeconfig, err := n.plane.AddUser("system:kube-scheduler")
	if err != nil {
		return err
	}
	return n.plane.StartServer("kube-scheduler", n.plane.Asset("kube-scheduler"), "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0")
}

func (n *node) startKubelet(context.Context) error {
	kubeconfig, err := n.plane.AddUser("system:node:"+nodeName, "system:nodes")
	if err != nil {
		return err
	}
	certFile, keyFile, err := n.plane.AddServingCertificate(nodeName, nodeAddress)
	if err != nil {
		return err
	}
	if err := write(n.path("upstream.conf"), ""); err != nil {
		return err
	}
	config, err := n.configure("kubelet.yaml", map[string]string{"CertFile": certFile, "KeyFile": keyFile})
	if err != nil {
		return err
	}
	return n.plane.StartServer("kubelet", n.plane.Asset("kubelet"), "--config="+config, "--kubeconfig="+kubeconfig,
		"--hostname-override="+nodeName, "--node-ip="+nodeAddress, "--root-dir="+n.path("kubelet"))
}

func (n *node) startProxy(context.Context) error {
	kubeconfig, err := n.plane.AddUser("system:kube-proxy")
	if err != nil {
		return err
	}
	config, err := n.configure("kube-proxy.yaml", map[string]string{"Kubeconfig": kubeconfig})
	if err != nil {
		return err
	}
	return n.plane.StartServer("kube-proxy", n.plane.Asset("kube-proxy"), "--config="+config)
}

func (n *node) startDNS(context.Context) error {
	kubeconfig, err := n.plane.AddUser("system:coredns", "system:masters")
	if err != nil {
		return err
	}
	config, err := n.configure("Corefile", map[string]string{"Kubeconfig": kubeconfig})
	if err != nil {
		return err
	}
	return n.plane.StartServer("coredns", n.plane.Asset("coredns"), config)
}
