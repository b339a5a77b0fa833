// Package localcluster starts a real Kubernetes control plane on this machine: etcd, kube-apiserver and
// kube-controller-manager, on free ports of 127.0.0.1.
//
// It stands in for a cluster in everything but running containers: Pods are created and never scheduled. Package localnode
// adds a node to it.
package localcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// startTimeout bounds the start of each server. On two busy cores a first start takes about ten seconds in all.
	startTimeout = 2 * time.Minute
	// stopTimeout is how long a server may take to end before it is killed.
	stopTimeout = 10 * time.Second
	// pollInterval is how often a start looks whether what it waits for is there.
	pollInterval = 50 * time.Millisecond
)

// Options say how a cluster is started. The zero value is a temporary cluster with everything in it.
type Options struct {
	// Dir is the folder for everything that the cluster keeps: objects, keys, logs and the kubeconfig file. It is created
	// when it is missing, and a later start over it has the same objects, the same credentials and, when it is still
	// free, the same port. One cluster at a time may use it. Empty means a temporary folder that Stop removes.
	Dir string

	// Assets is the folder with the binaries etcd, kube-apiserver and kube-controller-manager. Empty means the one that the
	// variable KUBEBUILDER_ASSETS names or else bin/assets in the working directory or the nearest folder above it.
	Assets string

	// Port is kube-apiserver's. 0 means the one of an earlier start over Dir, when it is free, or else any.
	Port int

	// AlsoKnownAs are names and addresses, beside localhost and 127.0.0.1, that kube-apiserver's certificate is good for.
	AlsoKnownAs []string

	// CRDs are files and folders whose CustomResourceDefinitions are installed before kube-controller-manager starts.
	// Its garbage collector looks for new kinds only every 30 seconds; of these it knows from the start.
	CRDs []string

	// WithoutControllerManager leaves kube-controller-manager out, for tests that want to be alone with the API server:
	// nothing then collects garbage, finishes namespaces or turns Deployments into Pods.
	WithoutControllerManager bool

	// APIServerFlags are further flags of kube-apiserver, by name without dashes, such as audit-log-path. They win over
	// those that the package sets.
	APIServerFlags map[string]string

	// Log is told of each step. The zero value discards it.
	Log logr.Logger
}

// Cluster is a running control plane.
type Cluster struct {
	options    Options
	assets     assets
	folder     *folder
	keys       *keys
	plane      envtest.ControlPlane
	manager    *process
	config     *rest.Config
	kubeconfig string

	undo []func() error
	stop func() error
}

// Start starts a cluster and returns when it can be used: the API server is ready, the CRDs are served, and the default
// namespace has its ServiceAccount. When it fails it leaves nothing behind.
//
// The cluster runs until Stop is called or ctx is done, and its servers end with this process even if that is killed.
// Who wants to end things in order gives a context that outlives them and calls Stop. A ctx that is done while a server
// is starting takes effect when that server is up, a few seconds later.
//
// The error wraps ErrNoAssets when the binaries are missing and ErrInUse when another cluster uses the folder.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c := &Cluster{options: options}
	c.stop = sync.OnceValue(c.stopAll)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	context.AfterFunc(ctx, func() {
		if err := c.Stop(); err != nil {
			c.options.Log.Error(err, "cannot stop the local cluster")
		}
	})
	return c, nil
}

// Config returns the configuration of a client that may do everything in the cluster. It is the caller's own copy.
func (c *Cluster) Config() *rest.Config {
	return rest.CopyConfig(c.config)
}

// KubeconfigPath returns the absolute path of a kubeconfig file with the same rights as Config.
func (c *Cluster) KubeconfigPath() string {
	return c.kubeconfig
}

// Stop ends all servers, in the reverse order of their start, and removes a temporary folder. It returns when they have
// ended. Calling it again, or while another call is under way, waits for that one and returns what it returned.
func (c *Cluster) Stop() error {
	return c.stop()
}

// start starts one thing after the other; what has been started is noted in c.undo.
func (c *Cluster) start(ctx context.Context) error {
	steps := []func(context.Context) error{
		c.findAssets, c.openFolder, c.startEtcd, c.startAPIServer, c.writeKubeconfig, c.installCRDs, c.startControllerManager,
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot start the local cluster: %w", context.Cause(ctx))
		}
		if err := step(ctx); err != nil {
			return fmt.Errorf("cannot start the local cluster: %w", err)
		}
	}
	return nil
}

func (c *Cluster) stopAll() error {
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

func (c *Cluster) findAssets(context.Context) (err error) {
	needed := []string{etcdName, apiServerName, managerName}
	if c.options.WithoutControllerManager {
		needed = needed[:2]
	}
	c.assets, err = findAssets(c.options.Assets, needed)
	return err
}

func (c *Cluster) openFolder(context.Context) (err error) {
	if c.folder, err = openFolder(c.options.Dir); err != nil {
		return err
	}
	c.undo = append(c.undo, c.folder.close)
	c.keys, err = loadKeys(c.folder.path("pki"), c.options.AlsoKnownAs)
	return err
}

func (c *Cluster) installCRDs(ctx context.Context) error {
	if len(c.options.CRDs) == 0 {
		return nil
	}
	return InstallCRDs(ctx, c.config, c.options.CRDs...)
}

// waitFor waits until an object is there. It gives up early when the process that it waits on, if any, has ended.
func (c *Cluster) waitFor(ctx context.Context, object client.Object, on *process) error {
	reader, err := client.New(c.config, client.Options{})
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		if on.ended() {
			return false, errors.New("it ended before it was ready")
		}
		last = reader.Get(ctx, client.ObjectKeyFromObject(object), object)
		return last == nil, nil
	})
	if wait.Interrupted(err) {
		return errors.Join(err, last)
	}
	return err
}

// defaultNamespace is made by kube-apiserver shortly after it is ready.
func defaultNamespace() client.Object {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceDefault}}
}

// defaultServiceAccount is made by kube-controller-manager. Before it is there no Pod is admitted to the namespace.
func defaultServiceAccount() client.Object {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: metav1.NamespaceDefault}}
}
