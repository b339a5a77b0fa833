// Command cluster runs a Kubernetes cluster with one real node on this machine, in namespaces of its own, until Ctrl-C.
//
// It needs root on Linux, and says why when it cannot run. Its test takes the Helm chart and the image to such a cluster, as
// users do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/localnode"
)

func main() {
	localnode.Init()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("cluster", flag.ExitOnError)
	dir := flags.String("dir", ".wasmloop/cluster", "`folder` for all that the cluster keeps")
	image := flags.String("image", "", "`file` with an image that Pods can use, as docker save writes it")
	_ = flags.Parse(args) // it exits
	log.SetLogger(logr.Discard())
	began := time.Now()
	cluster, err := localnode.Start(ctx, localnode.Options{Dir: *dir, Log: narrator()})
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	if *image != "" {
		if err := cluster.LoadImage(ctx, *image); err != nil {
			return err
		}
	}
	fmt.Printf("✔ the node is ready after %.1f s\n", time.Since(began).Seconds())
	fmt.Printf(usage, cluster.KubeconfigPath(), cluster.Process())
	<-ctx.Done()
	fmt.Println("\n► ending the cluster")
	return nil
}

// usage tells what to do next.
const usage = `
The cluster runs until you press Ctrl-C. In another terminal, try:

  export KUBECONFIG=%s
  kubectl get nodes
  helm install wasmloop deploy/charts/wasmloop --wait

kubectl is in bin/assets, helm in bin/tools. To reach Pods and Services, or to see the node's processes, go into its namespaces:

  nsenter --target %d --mount --uts --ipc --net --pid
`

func narrator() logr.Logger {
	return funcr.New(func(_, text string) { fmt.Println("►", text) }, funcr.Options{})
}
