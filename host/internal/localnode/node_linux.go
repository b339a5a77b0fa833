package localnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

const (
	startTimeout = 2 * time.Minute
	pollInterval = 50 * time.Millisecond
)

// node is the cluster as it is seen from within the namespaces.
type node struct {
	settings
	plane *localcluster.Cluster
}

// path returns the path of a file of the node, as opposed to the control plane.
func (n *node) path(elements ...string) string {
	return filepath.Join(append([]string{n.Dir, "node"}, elements...)...)
}

func (n *node) start(ctx context.Context) error {
	steps := []func(context.Context) error{
		n.checkFolder,
		func(context.Context) error { return n.prepareMachine() },
		n.startControlPlane, n.startContainerd, n.startScheduler, n.startKubelet, n.startProxy, n.startDNS,
		func(context.Context) error { return n.forward() },
		n.waitForNode, n.waitForDNS,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) stop() error {
	if n.plane == nil {
		return nil
	}
	return n.plane.Stop()
}

// checkFolder refuses a folder that the node's own would hide.
func (n *node) checkFolder(context.Context) error {
	for _, hidden := range []string{"/run", "/var/lib", "/var/log", "/proc", "/sys"} {
		if relative, err := filepath.Rel(hidden, n.Dir); err == nil && filepath.IsLocal(relative) {
			return fmt.Errorf("the folder %s is in %s, of which the cluster has its own: choose one elsewhere", n.Dir, hidden)
		}
	}
	return nil
}

// startControlPlane starts it as nodes need it: on an address that Pods reach, with the endpoint of the Service kubernetes.
func (n *node) startControlPlane(ctx context.Context) (err error) {
	n.plane, err = localcluster.Start(ctx, localcluster.Options{
		Dir: n.Dir, Assets: n.Assets, Port: n.Port,
		AlsoKnownAs: []string{
			nodeAddress, serviceAddress, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + clusterDomain,
		},
		APIServerFlags: map[string]string{
			"bind-address":                    "0.0.0.0", // there is no way out of the namespaces
			"advertise-address":               nodeAddress,
			"endpoint-reconciler-type":        "lease",
			"service-cluster-ip-range":        serviceRange,
			"authorization-mode":              "Node,RBAC",
			"enable-admission-plugins":        "NodeRestriction",
			"kubelet-preferred-address-types": "InternalIP",
		},
	})
	if err != nil {
		return err
	}
	// kube-apiserver waits for its clients to go before it ends, and Pods outlive kubelet and containerd.
	n.plane.OnStop(func() error { return killCgroups(n.Cgroup) })
	return nil
}

// forward hands the connections to the port on this machine to kube-apiserver, which has the same port here.
func (n *node) forward() error {
	listener, err := net.FileListener(osFile(listenerFD))
	if err != nil {
		return fmt.Errorf("cannot take connections to kube-apiserver: %w", err)
	}
	go func() {
		for {
			outer, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(outer, n.Port)
		}
	}()
	return nil
}

func (n *node) client() (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", n.plane.KubeconfigPath())
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{})
}

// waitForNode waits until Pods can run.
func (n *node) waitForNode(ctx context.Context) error {
	reader, err := n.client()
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		var found corev1.Node
		if last = reader.Get(ctx, types.NamespacedName{Name: nodeName}, &found); last != nil {
			return false, nil //nolint:nilerr // it is tried again, and told of at the end
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				last = errors.New(condition.Message)
				return condition.Status == corev1.ConditionTrue, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return n.plane.Explain("kubelet", fmt.Errorf("the node does not become ready: %w", errors.Join(err, last)))
	}
	return nil
}

// waitForDNS waits until names of Services are found.
func (n *node) waitForDNS(ctx context.Context) error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(nodeAddress, "53"))
	}}
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		_, last = resolver.LookupHost(ctx, "kubernetes.default.svc."+clusterDomain+".")
		return last == nil, nil
	})
	if err != nil {
		return n.plane.Explain("coredns", fmt.Errorf("names are not found: %w", errors.Join(err, last)))
	}
	return nil
}
