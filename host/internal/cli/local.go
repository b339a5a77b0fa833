package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

const (
	// fieldManager owns the fields of what --apply applies.
	fieldManager = "wasmloop-run"
	// samplesTimeout is how long run --local waits for what it applied before it says that it did not become available.
	samplesTimeout = time.Minute
	// conditionsTimeout is how long an object that has a child may be without conditions.
	conditionsTimeout = 5 * time.Second
	samplesPoll       = 250 * time.Millisecond
	defaultDir        = ".wasmloop"
)

// localFlags are those flags of wasmloop run that are about the control plane on this machine.
type localFlags struct {
	enabled bool
	dir     string
	crds    []string
	apply   []string
}

func (f *localFlags) register(set *pflag.FlagSet) {
	set.BoolVar(&f.enabled, "local", false, "start a control plane on this machine and work on it")
	set.StringVar(&f.dir, "local-dir", defaultDir, "`folder` of the local control plane: its objects, logs and kubeconfig")
	set.StringSliceVar(&f.crds, "crd", nil, "`file or folder` of CustomResourceDefinitions to install with --local")
	set.StringSliceVar(&f.apply, "apply", nil, "`file or folder` of objects to apply with --local")
}

func (f *localFlags) used() bool { return len(f.crds) > 0 || len(f.apply) > 0 || f.dir != defaultDir }

// runLocal starts a control plane, runs the controllers on it, applies the objects, and stops it all in reverse.
func (f *runFlags) runLocal(ctx context.Context, stderr io.Writer, conf *config.Config, log logr.Logger) (err error) {
	if f.engine.CacheDir == "" {
		f.engine.CacheDir = filepath.Join(f.local.dir, "modules")
	}
	fmt.Fprintf(stderr, "► starting a control plane in %s\n", f.local.dir)
	start := time.Now()
	// It must outlive ctx: the controllers end first, in order.
	cluster, err := localcluster.Start(context.WithoutCancel(ctx), localcluster.Options{Dir: f.local.dir, CRDs: f.local.crds, Log: log.V(1)})
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "✔ control plane ready after %.1f s\n", time.Since(start).Seconds())
	defer func() {
		fmt.Fprintln(stderr, "► stopping the control plane")
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	reader, err := client.New(cluster.Config(), client.Options{})
	if err != nil {
		return fmt.Errorf("cannot connect to the local control plane: %w", err)
	}
	demo := &demo{stderr: stderr, cluster: cluster, client: reader, conf: conf, paths: f.local.apply}
	done := make(chan struct{})
	demoContext, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		demo.run(demoContext)
	}()
	err = f.runEngine(ctx, conf, cluster.Config())
	cancel()
	<-done
	return err
}

// demo applies objects to a local cluster, and tells a person what becomes of them and what to try.
type demo struct {
	stderr  io.Writer
	cluster *localcluster.Cluster
	client  client.Client
	conf    *config.Config
	paths   []string
}

func (d *demo) run(ctx context.Context) {
	sample, err := d.apply(ctx)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(d.stderr, "✗ %v\n", err)
	}
	if ctx.Err() == nil {
		d.sayWhatToTry(ctx, sample)
	}
}

// apply applies the objects, waits until those that a controller reconciles have reached a goal, and returns the first of
// these, if there is one.
func (d *demo) apply(ctx context.Context) (sample *unstructured.Unstructured, err error) {
	objects, err := localcluster.Apply(ctx, d.cluster.Config(), fieldManager, d.paths...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, samplesTimeout) // for all together
	defer cancel()
	for _, object := range objects {
		if !d.reconciled(object) {
			continue
		}
		d.awaitGoal(ctx, object)
		if sample == nil {
			sample = object
		}
	}
	return sample, nil
}

// reconciled says whether a controller of the config reconciles the object.
func (d *demo) reconciled(object *unstructured.Unstructured) bool {
	for _, controller := range d.conf.Controllers {
		for _, kind := range controller.ForKinds() {
			if kind.Schema() == object.GroupVersionKind() {
				return true
			}
		}
	}
	return false
}

func (d *demo) awaitGoal(ctx context.Context, object *unstructured.Unstructured) {
	name := object.GetKind() + " " + strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/")
	start := time.Now()
	var parent time.Time // when it was first seen to have a child
	reached := ""
	err := wait.PollUntilContextCancel(ctx, samplesPoll, true, func(ctx context.Context) (bool, error) {
		if d.client.Get(ctx, client.ObjectKeyFromObject(object), object) == nil {
			reached = d.reached(ctx, object, &parent)
		}
		return reached != "", nil
	})
	switch {
	case err == nil:
		fmt.Fprintf(d.stderr, "✔ %s is %s after %.1f s\n", name, reached, time.Since(start).Seconds())
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		fmt.Fprintf(d.stderr, "✗ %s is not Available, Ready or Complete after %s: see its conditions and events with kubectl describe\n", name, samplesTimeout)
	}
}

// reached says what an object has come to, "" if it is on its way still. One that has had a child for a while and no conditions
// may never have any: the child must do. parent is when it was first seen to have one.
func (d *demo) reached(ctx context.Context, object *unstructured.Unstructured, parent *time.Time) string {
	if goal := goalReached(object); goal != "" {
		return goal
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	switch {
	case len(conditions) > 0 || parent.IsZero() && d.child(ctx, object) == nil:
	case parent.IsZero():
		*parent = time.Now()
	case time.Since(*parent) > conditionsTimeout:
		return "reconciled"
	}
	return ""
}

// goals are the conditions that say that an object has come to what it is for.
var goals = []string{"Available", "Ready", "Complete"}

// goalReached returns the condition that an object has of goals, "" if it has none.
func goalReached(object *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if kind, _ := condition["type"].(string); slices.Contains(goals, kind) && condition["status"] == "True" {
			return kind
		}
	}
	return ""
}

// sayWhatToTry prints kubectl lines that work as pasted.
func (d *demo) sayWhatToTry(ctx context.Context, sample *unstructured.Unstructured) {
	kubectl := "kubectl --kubeconfig " + d.cluster.KubeconfigPath()
	fmt.Fprintf(d.stderr, "\nThe control plane runs until you press Ctrl-C. In another terminal, try:\n\n")
	fmt.Fprintf(d.stderr, "  %s get %s -A\n", kubectl, strings.Join(d.kinds(sample), ","))
	if sample != nil {
		name := flagged(sample)
		if child := d.child(ctx, sample); child != nil {
			fmt.Fprintf(d.stderr, "  %s delete %s   # it is back at once\n", kubectl, flagged(child))
		}
		fmt.Fprintf(d.stderr, "  %s edit %s   # its children follow\n", kubectl, name)
		fmt.Fprintf(d.stderr, "  %s delete %s   # its children go with it\n", kubectl, name)
	}
	fmt.Fprintln(d.stderr)
}

// flagged names an object as kubectl takes it.
func flagged(object *unstructured.Unstructured) string {
	name := argument(object.GroupVersionKind()) + " " + object.GetName()
	if object.GetNamespace() != "" {
		name = "-n " + object.GetNamespace() + " " + name
	}
	return name
}

// argument names a kind as kubectl takes it: with its group, since there may be several of that name.
func argument(kind schema.GroupVersionKind) string {
	return strings.TrimSuffix(strings.ToLower(kind.Kind)+"."+kind.Group, ".")
}

// kinds returns the kinds of the controllers that reconcile an object, and what they own, as kubectl takes them.
func (d *demo) kinds(sample *unstructured.Unstructured) []string {
	var kinds []string
	for _, controller := range d.conf.Controllers {
		if sample == nil || !slices.Contains(controller.ForKinds(), kindOf(sample)) {
			continue
		}
		for _, kind := range slices.Concat(controller.ForKinds(), controller.OwnedKinds()) {
			if name := argument(kind.Schema()); !slices.Contains(kinds, name) {
				kinds = append(kinds, name)
			}
		}
	}
	if len(kinds) == 0 {
		return []string{"all"}
	}
	return kinds
}

func kindOf(object *unstructured.Unstructured) config.GroupVersionKind {
	return config.GroupVersionKind{APIVersion: object.GetAPIVersion(), Kind: object.GetKind()}
}

// child returns a child of the object, nil if it has none.
func (d *demo) child(ctx context.Context, object *unstructured.Unstructured) (child *unstructured.Unstructured) {
	for _, controller := range d.conf.Controllers {
		for _, kind := range controller.OwnedKinds() {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(kind.Schema())
			if d.client.List(ctx, list, client.InNamespace(object.GetNamespace())) != nil {
				continue // it only makes for a better hint
			}
			for i := range list.Items {
				if metav1.IsControlledBy(&list.Items[i], object) {
					child = &list.Items[i]
				}
			}
		}
	}
	return child
}
