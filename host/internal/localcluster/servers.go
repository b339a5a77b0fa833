package localcluster

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// admins is the group that may do everything.
	admins = "system:masters"
	// kubeletClient is who kube-apiserver is to kubelets.
	kubeletClient = "kube-apiserver-kubelet-client"
)

func (c *Cluster) startEtcd(context.Context) error {
	output, err := c.folder.openLog(etcdName)
	if err != nil {
		return err
	}
	c.options.Log.Info("starting etcd")
	c.plane.Etcd = &envtest.Etcd{
		Path: c.assets.path(etcdName), DataDir: c.folder.path("etcd"), Out: output, Err: output,
		StartTimeout: startTimeout, StopTimeout: stopTimeout,
	}
	// A start that fails may leave the process running.
	c.undo = append(c.undo, c.plane.Etcd.Stop)
	if err := c.plane.Etcd.Start(); err != nil {
		return c.folder.explain(etcdName, err)
	}
	return nil
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	output, err := c.folder.openLog(apiServerName)
	if err != nil {
		return err
	}
	c.options.Log.Info("starting kube-apiserver")
	server := &envtest.APIServer{
		Path: c.assets.path(apiServerName), CertDir: c.folder.path("pki"), Out: output, Err: output,
		EtcdURL: c.plane.Etcd.URL, StartTimeout: startTimeout, StopTimeout: stopTimeout,
		SecureServing: envtest.SecureServing{
			ListenAddr: envtest.ListenAddr{Address: loopback}, CA: c.keys.caPEM(), Authn: c.keys,
		},
	}
	if port := cmp.Or(c.options.Port, LastPort(c.folder.dir)); port != 0 {
		server.Port = strconv.Itoa(port)
	}
	c.configure(server.Configure())
	c.plane.APIServer = server
	c.undo = append(c.undo, server.Stop)
	if err := server.Start(); err != nil {
		return c.folder.explain(apiServerName, err)
	}
	c.config, err = c.clientConfig("admin", admins)
	if err != nil {
		return err
	}
	return c.waitFor(ctx, defaultNamespace(), nil)
}

// configure sets kube-apiserver's flags where envtest's defaults do not do.
func (c *Cluster) configure(flags *envtest.Arguments) {
	flags.Set("service-account-key-file", c.keys.serviceAccountKey())
	flags.Set("service-account-signing-key-file", c.keys.serviceAccountKey())
	// envtest's issuer is the server's address; tokens must outlive a change of port.
	flags.Set("service-account-issuer", "https://kubernetes.default.svc")
	// There may be kubelets some day.
	flags.Set("kubelet-client-certificate", filepath.Join(c.keys.dir, kubeletClient+".crt"))
	flags.Set("kubelet-client-key", filepath.Join(c.keys.dir, kubeletClient+".key"))
	flags.Set("kubelet-certificate-authority", c.keys.caFile())
	// The Service "kubernetes" cannot have a loopback address as its endpoint, and nobody would use it.
	flags.Set("endpoint-reconciler-type", "none")
	if !c.options.WithoutControllerManager {
		// envtest leaves the ServiceAccount plugin out, since nobody there makes the accounts. Here somebody does.
		flags.Disable("disable-admission-plugins")
	}
	for name, value := range c.options.APIServerFlags {
		flags.Set(name, value)
	}
}

func (c *Cluster) startControllerManager(ctx context.Context) error {
	if c.options.WithoutControllerManager {
		return nil
	}
	// It has a name of its own, so that an audit log tells its calls from others.
	kubeconfig, err := c.AddUser("system:"+managerName, admins)
	if err != nil {
		return err
	}
	c.manager, err = c.startServer(managerName, c.assets.path(managerName), c.managerArgs(kubeconfig)...)
	if err != nil {
		return err
	}
	if err := c.waitFor(ctx, defaultServiceAccount(), c.manager); err != nil {
		return c.folder.explain(managerName, fmt.Errorf("cannot start %s: %w", managerName, err))
	}
	return nil
}

func (c *Cluster) managerArgs(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--root-ca-file=" + c.keys.caFile(),
		"--service-account-private-key-file=" + c.keys.serviceAccountKey(),
		"--leader-elect=false",
		"--secure-port=0",
		// The default of 20 calls per second is made to spare a big cluster; here it would only make people wait.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}
}

// startServer starts a server of any name, which ends with the cluster, before those that were started earlier. Its output is
// in the cluster's folder.
func (c *Cluster) startServer(name, path string, args ...string) (*process, error) {
	output, err := c.folder.openLog(name)
	if err != nil {
		return nil, err
	}
	c.options.Log.Info("starting " + name)
	server, err := startProcess(path, args, output)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.undo = append(c.undo, server.stop)
	return server, nil
}

// clientConfig returns the configuration of a client, under a name of its own.
func (c *Cluster) clientConfig(name string, groups ...string) (*rest.Config, error) {
	// The server has priorities and fairness to protect itself: no limit on this side.
	base := &rest.Config{QPS: -1}
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, base)
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}
