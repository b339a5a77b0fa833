package localcluster

import (
	"path/filepath"
	"strings"
)

// What a node needs of a control plane that it joins.

// Asset returns the path of one of the binaries beside those of the control plane.
func (c *Cluster) Asset(name string) string { return c.assets.path(name) }

// Path returns the path of a file in the cluster's folder.
func (c *Cluster) Path(elements ...string) string { return c.folder.path(elements...) }

// CAFile returns the path of the certificate that all others in the cluster are signed with.
func (c *Cluster) CAFile() string { return c.keys.caFile() }

// AddUser makes a user with a client certificate and returns the path of a kubeconfig file that needs no other file.
func (c *Cluster) AddUser(name string, groups ...string) (string, error) {
	config, err := c.clientConfig(name, groups...)
	if err != nil {
		return "", err
	}
	path := c.folder.path("pki", strings.ReplaceAll(name, ":", "-")+".kubeconfig")
	return path, writeKubeconfig(path, config)
}

// AddServingCertificate makes a certificate for a server that is known by these names and addresses, the first of which is
// its own, and returns the paths of it and its key.
func (c *Cluster) AddServingCertificate(names ...string) (certFile, keyFile string, err error) {
	certPEM, keyPEM, err := c.keys.signServer(names[0], names)
	if err != nil {
		return "", "", err
	}
	path := filepath.Join(c.keys.dir, names[0])
	return path + ".crt", path + ".key", c.keys.write(names[0], certPEM, keyPEM)
}

// StartServer starts a further server of the cluster. It ends with the cluster, before those that were started earlier, and
// its output is in the cluster's folder, under its name.
func (c *Cluster) StartServer(name, path string, args ...string) error {
	_, err := c.startServer(name, path, args...)
	return err
}

// OnStop has something done when the cluster stops: after what was started later has ended, and before what was started earlier.
func (c *Cluster) OnStop(do func() error) { c.undo = append(c.undo, do) }

// Explain adds to a server's error where its log is and how that ends.
func (c *Cluster) Explain(name string, err error) error { return c.folder.explain(name, err) }
