// Command native is what the host is measured against: the MarkdownView controller as a good engineer would write it
// with controller-runtime. Reads come from the cache, owned kinds are watched, nothing is written that is so already,
// and the client is not limited.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	flags := flag.NewFlagSet("native", flag.ExitOnError) // controller-runtime has flags of its own in the common set
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig `file`")
	metrics := flags.String("metrics-bind-address", "0", "`address` of the metrics")
	_ = flags.Parse(os.Args[1:]) // exits on an error
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
	config.QPS, config.UserAgent = -1, "native"
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	scheme.AddKnownTypes(groupVersion, &MarkdownView{}, &MarkdownViewList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	mgr, err := manager.New(config, manager.Options{
		Scheme:  scheme,
		Metrics: server.Options{BindAddress: metrics},
		Cache:   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return err
	}
	r := &reconciler{Client: mgr.GetClient(), scheme: scheme}
	err = ctrl.NewControllerManagedBy(mgr).Named("bench").For(&MarkdownView{}).
		Owns(&corev1.ConfigMap{}).Owns(&appsv1.Deployment{}).Owns(&corev1.Service{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).Complete(r)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

var groupVersion = schema.GroupVersion{Group: "view.example.com", Version: "v1"}

type reconciler struct {
	client.Client
	scheme *runtime.Scheme
}

// Reconcile makes a MarkdownView's children and its status what they should be.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	view := &MarkdownView{}
	if err := r.Get(ctx, request.NamespacedName, view); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if view.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	for _, ensure := range []func(context.Context, *MarkdownView) error{r.configMap, r.deployment, r.service, r.status} {
		if err := ensure(ctx, view); err != nil {
			if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
				return ctrl.Result{Requeue: true}, nil //nolint:staticcheck // the cache was behind: at once, with backoff
			}
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

func (r *reconciler) ensure(ctx context.Context, view *MarkdownView, child client.Object, mutate func()) error {
	child.SetNamespace(view.Namespace)
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, child, func() error {
		mutate()
		return controllerutil.SetControllerReference(view, child, r.scheme)
	})
	return err
}

func (r *reconciler) configMap(ctx context.Context, view *MarkdownView) error {
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "markdowns-" + view.Name}}
	return r.ensure(ctx, view, child, func() { child.Data = view.Spec.Markdowns })
}

func (r *reconciler) deployment(ctx context.Context, view *MarkdownView) error {
	child := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "viewer-" + view.Name}}
	labels := map[string]string{"view": view.Name}
	return r.ensure(ctx, view, child, func() {
		child.Spec.Replicas = new(view.Spec.Replicas)
		child.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		child.Spec.Template.Labels = labels
		spec := &child.Spec.Template.Spec
		if len(spec.Containers) != 1 || len(spec.Volumes) != 1 {
			spec.Containers, spec.Volumes = make([]corev1.Container, 1), make([]corev1.Volume, 1)
			spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 3000}}
			spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "markdowns", MountPath: "/book/src"}}
			spec.Volumes[0].ConfigMap = &corev1.ConfigMapVolumeSource{}
		}
		container := &spec.Containers[0]
		container.Name, container.Image, container.Args = "mdbook", "example.com/mdbook:1", []string{"serve", "--hostname", "0.0.0.0"}
		spec.Volumes[0].Name, spec.Volumes[0].ConfigMap.Name = "markdowns", "markdowns-"+view.Name
	})
}

func (r *reconciler) service(ctx context.Context, view *MarkdownView) error {
	child := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "viewer-" + view.Name}}
	return r.ensure(ctx, view, child, func() {
		child.Spec.Selector = map[string]string{"view": view.Name}
		if len(child.Spec.Ports) != 1 {
			child.Spec.Ports = make([]corev1.ServicePort, 1)
		}
		child.Spec.Ports[0].Port, child.Spec.Ports[0].TargetPort = 80, intstr.FromInt32(3000)
	})
}

func (r *reconciler) status(ctx context.Context, view *MarkdownView) error {
	wanted := Status{ObservedGeneration: view.Generation, Phase: "Available"}
	if view.Status == wanted {
		return nil
	}
	view.Status = wanted
	return r.Status().Update(ctx, view)
}
