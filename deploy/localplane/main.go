// Command localplane is a Kubernetes cluster in one multi-call binary, built from the published Go modules: etcd,
// kube-apiserver, kube-controller-manager, and kubectl to look at it with; on Linux, kube-scheduler, kubelet, kube-proxy and
// CoreDNS as well, which make it one that runs Pods.
//
// Which one runs is decided by the name it was called by (so that links named after them make a folder that
// envtest accepts as KUBEBUILDER_ASSETS), or else by the first argument:
//
//	localplane kube-apiserver --version
//
// It is meant for development and tests on one machine, and ends when the process that started it ends, however that
// ends.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // CronJobs name time zones; the machine may have no zone files

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// components maps each component's name to its main function. Each takes its arguments from os.Args and returns the
// exit code.
var components = map[string]func() int{
	"etcd": func() int {
		etcdmain.Main(os.Args)
		return 0
	},
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	kubectl: func() int {
		if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err) // prints it and exits
		}
		return 0
	},
}

// kubectl is the only component that is no server.
const kubectl = "kubectl"

func main() {
	os.Exit(doMain(os.Stderr))
}

func doMain(stderr io.Writer) int {
	name, args := component(os.Args)
	run, ok := components[name]
	if !ok {
		fmt.Fprintf(stderr, "localplane: unknown component %q: call it as, or with a first argument of, one of %s\n",
			name, strings.Join(slices.Sorted(maps.Keys(components)), ", "))
		return 2
	}
	os.Args = args
	if name == kubectl {
		return run()
	}
	if err := endWithParent(); err != nil {
		fmt.Fprintf(stderr, "localplane: cannot ask to be ended with the parent process: %v\n", err)
		return 1
	}
	return run()
}

// component says which component argv asks for, and the arguments that are left for it.
func component(argv []string) (name string, args []string) {
	if name = filepath.Base(argv[0]); components[name] != nil || len(argv) < 2 {
		return name, argv
	}
	return argv[1], argv[1:]
}
