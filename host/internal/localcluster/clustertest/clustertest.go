// Package clustertest gives the tests of a package an API server that they share.
package clustertest

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

// uncached are kinds that the API server reads from etcd. A list of others waits for up to a tenth of a second, until its
// cache is known to show the last write to any kind.
const uncached = "configmaps#0,secrets#0,clusterroles.rbac.authorization.k8s.io#0,runtimeclasses.node.k8s.io#0"

// Run starts an API server with the CRDs in a file, hands use its config, runs the tests, stops it, and returns the exit
// code for TestMain. There is no kube-controller-manager: nobody but the tests is to change anything.
func Run(tests interface{ Run() int }, crds string, use func(cluster *rest.Config) error) int {
	code, err := run(tests, crds, use)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func run(tests interface{ Run() int }, crds string, use func(cluster *rest.Config) error) (code int, err error) {
	cluster, err := localcluster.Start(context.Background(), localcluster.Options{
		CRDs: []string{crds}, WithoutControllerManager: true, APIServerFlags: map[string]string{"watch-cache-sizes": uncached},
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	if err := use(cluster.Config()); err != nil {
		return 1, err
	}
	return tests.Run(), nil
}
