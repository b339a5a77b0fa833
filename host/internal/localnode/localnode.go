// Package localnode starts a Kubernetes cluster with one real node on this machine: the control plane of package localcluster,
// kube-scheduler, containerd, kubelet, kube-proxy and CoreDNS. Pods run in it.
//
// All of it lives in Linux namespaces of its own (mounts, network, processes, IPC, host name), so that the machine stays as it
// is: no address, route, mount, sysctl or process of the cluster is seen outside, and whoever ends the first process in there
// ends them all. It needs root.
//
// Nothing leads out of the cluster's network, and into it just one way: kube-apiserver's port on 127.0.0.1. Images are
// loaded from files.
package localnode

import (
	"errors"

	"github.com/go-logr/logr"
)

// ErrUnable means that this machine cannot run a node. The error that wraps it says why, and what to do.
var ErrUnable = errors.New("this machine cannot run a node")

// Options say how a cluster is started. The zero value is a temporary cluster.
type Options struct {
	// Dir is the folder for everything that the cluster keeps: objects, keys, images, logs and the kubeconfig file. It is
	// created when it is missing. A later start over it is like that of a machine after a power cut: the same objects and
	// images, and all Pods anew. Empty means a temporary folder that Stop removes.
	Dir string

	// Assets is the folder with the binaries. Empty means what it means for localcluster.
	Assets string

	// Log is told of each step. The zero value discards it.
	Log logr.Logger
}

const (
	nodeName = "node"
	// nodeAddress is that of the node in the network of Pods, which it is the gateway of.
	nodeAddress    = "10.99.0.1"
	podRange       = "10.99.0.0/24"
	serviceRange   = "10.0.0.0/24"
	serviceAddress = "10.0.0.1" // of the Service kubernetes
	clusterDomain  = "cluster.local"
)
