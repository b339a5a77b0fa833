package localcluster

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// admins is the group that may do everything.
const admins = "system:masters"

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
	if port := lastPort(c.folder.path(kubeconfigName)); port != 0 {
		server.Port = strconv.Itoa(port)
	}
	c.configure(server.Configure())
	c.plane.APIServer = server
	c.undo = append(c.undo, server.Stop)
	if err := server.Start(); err != nil {
		return c.folder.explain(apiServerName, err)
	}
	c.config, err = c.clientConfig("admin")
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
	config, err := c.clientConfig("system:" + managerName)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(c.folder.path("pki", managerName+".kubeconfig"), config); err != nil {
		return err
	}
	output, err := c.folder.openLog(managerName)
	if err != nil {
		return err
	}
	c.options.Log.Info("starting kube-controller-manager")
	c.manager, err = startProcess(c.assets.path(managerName), c.managerArgs(), output)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", managerName, err)
	}
	c.undo = append(c.undo, c.manager.stop)
	if err := c.waitFor(ctx, defaultServiceAccount(), c.manager); err != nil {
		return c.folder.explain(managerName, fmt.Errorf("cannot start %s: %w", managerName, err))
	}
	return nil
}

func (c *Cluster) managerArgs() []string {
	return []string{
		"--kubeconfig=" + c.folder.path("pki", managerName+".kubeconfig"),
		"--root-ca-file=" + c.keys.caFile(),
		"--service-account-private-key-file=" + c.keys.serviceAccountKey(),
		"--leader-elect=false",
		"--secure-port=0",
		// The default of 20 calls per second is made to spare a big cluster; here it would only make people wait.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}
}

// clientConfig returns the configuration of a client that may do everything, under a name of its own.
func (c *Cluster) clientConfig(name string) (*rest.Config, error) {
	// The server has priorities and fairness to protect itself: no limit on this side.
	base := &rest.Config{QPS: -1}
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: []string{admins}}, base)
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}
