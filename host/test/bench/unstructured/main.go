// Command unstructured is what the memory of the host is measured against: a controller that watches all ConfigMaps by
// controller-runtime's cache of unstructured objects, as it is by default, and does nothing about them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func main() {
	flags := flag.NewFlagSet("unstructured", flag.ExitOnError) // controller-runtime has flags of its own in the common set
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig `file`")
	metrics := flags.String("metrics-bind-address", "0", "`address` of the metrics")
	giveBack := flags.Bool("give-back", false, "give memory back to the operating system every few seconds")
	_ = flags.Parse(os.Args[1:]) // exits on an error
	if *giveBack {
		go func() {
			for range time.Tick(2 * time.Second) {
				debug.FreeOSMemory()
			}
		}()
	}
	if err := run(ctrl.SetupSignalHandler(), *kubeconfig, *metrics); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, metrics string) error {
	log.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.UserAgent = -1, "unstructured"
	mgr, err := manager.New(config, manager.Options{
		Metrics: server.Options{BindAddress: metrics},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		return err
	}
	get := func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		return reconcile.Result{}, client.IgnoreNotFound(mgr.GetClient().Get(ctx, request.NamespacedName, configMap()))
	}
	err = ctrl.NewControllerManagedBy(mgr).Named("bench").For(configMap()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).Complete(reconcile.Func(get))
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func configMap() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	return object
}
