package localcluster

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	loopback       = "127.0.0.1"
	kubeconfigName = "kubeconfig"
	// contextName is what kubectl shows as the cluster, the user and the context.
	contextName = "wasmloop-local"
)

func (c *Cluster) writeKubeconfig(context.Context) error {
	c.kubeconfig = c.folder.path(kubeconfigName)
	return writeKubeconfig(c.kubeconfig, c.config)
}

// writeKubeconfig writes a kubeconfig file that needs no other file.
func writeKubeconfig(path string, config *rest.Config) error {
	file := clientcmdapi.NewConfig()
	file.Clusters[contextName] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[contextName] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData,
	}
	file.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}
	file.CurrentContext = contextName
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("cannot write kubeconfig %s: %w", path, err)
	}
	return nil
}

// LastPort returns the port that the kubeconfig file of an earlier start over a folder names, so that clients left open from
// then find the API server again. It returns 0 when there is none or somebody else has taken it.
func LastPort(dir string) int {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, kubeconfigName))
	if err != nil {
		return 0
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return 0
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, server.Port()))
	if err != nil || listener.Close() != nil {
		return 0
	}
	port, _ := strconv.Atoi(server.Port())
	return port
}
