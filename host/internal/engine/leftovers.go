package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// Leftover is an object that carries the mark of a controller that does not look after it.
type Leftover struct {
	Object     *kube.Object
	Controller string
	// Held is true for an object that has the controller's finalizer, false for a child of the controller.
	Held bool
	// Why says why the controller does not look after it.
	Why string
}

// Leftovers is what looks for them, in one cluster.
type Leftovers struct {
	client    *kube.Client
	discovery discovery.DiscoveryInterface
}

// NewLeftovers returns a Leftovers for the cluster that config leads to.
func NewLeftovers(cluster *rest.Config) (*Leftovers, error) {
	cluster = rest.CopyConfig(cluster)
	cluster.QPS, cluster.UserAgent = -1, "wasmloop"
	httpClient, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the connection to the cluster: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cluster, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the connection to the cluster: %w", err)
	}
	client, err := kube.NewClient(cluster, httpClient, mapper)
	if err != nil {
		return nil, err
	}
	kinds, err := discovery.NewDiscoveryClientForConfigAndClient(cluster, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot set up discovery: %w", err)
	}
	return &Leftovers{client, kinds}, nil
}

// Find returns what controllers left over that conf does not name, or that do not own or reconcile the object's kind any
// more. A nil conf names none. It reads the metadata of all objects of all kinds that it may list, and returns the kinds that
// it may not list, too.
func (l *Leftovers) Find(ctx context.Context, conf *config.Config) (found []Leftover, forbidden []schema.GroupKind, err error) {
	kinds, err := l.kinds()
	if err != nil {
		return nil, nil, err
	}
	for _, kind := range kinds {
		err := l.client.ListMetadata(ctx, kind, func(object *kube.Object) {
			found = append(found, leftoversOf(object, conf)...)
		})
		switch {
		case apierrors.IsForbidden(err):
			forbidden = append(forbidden, kind.GroupKind())
		case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		case err != nil:
			return nil, nil, fmt.Errorf("cannot list kind %s: %w", kind.Kind, err)
		}
	}
	return found, forbidden, nil
}

// kinds returns the kinds that can be listed and deleted, in the version that the cluster prefers. A part of the API that
// does not answer is passed over.
func (l *Leftovers) kinds() (kinds []schema.GroupVersionKind, err error) {
	lists, err := l.discovery.ServerPreferredResources()
	if failed := new(discovery.ErrGroupDiscoveryFailed); err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("cannot ask the cluster for its kinds: %w", err)
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, resource := range list.APIResources {
			if usable(resource) {
				kinds = append(kinds, version.WithKind(resource.Kind))
			}
		}
	}
	return kinds, nil
}

// usable says whether objects of a resource may be somebody's children. Events are many, and never are.
func usable(resource metav1.APIResource) bool {
	verbs := resource.Verbs
	return slices.Contains(verbs, "list") && slices.Contains(verbs, "delete") && !strings.Contains(resource.Name, "/") && resource.Kind != "Event"
}

func leftoversOf(object *kube.Object, conf *config.Config) (found []Leftover) {
	controller, ok := provenChild(object)
	if ok {
		if why := notLookedAfter(conf, controller, object, ownsChild, "own"); why != "" {
			found = append(found, Leftover{Object: object, Controller: controller, Why: why})
		}
	}
	for _, finalizer := range object.Finalizers {
		controller, ok := strings.CutPrefix(finalizer, apply.FinalizerPrefix)
		if !ok {
			continue
		}
		if why := notLookedAfter(conf, controller, object, reconcilesObject, "reconcile"); why != "" {
			found = append(found, Leftover{Object: object, Controller: controller, Held: true, Why: why})
		}
	}
	return found
}

// provenChild returns the controller whose child an object is proven to be: by its annotation, and by its owner reference or by
// what the controller's field manager owns of it.
func provenChild(object *kube.Object) (controller string, ok bool) {
	controller, uid, ok := apply.ClaimedBy(object)
	if holder := object.Controller(); !ok || holder != nil && holder.UID != uid {
		return "", false
	}
	refers := slices.ContainsFunc(object.Owners, func(owner kube.Owner) bool { return owner.UID == uid })
	return controller, refers || object.Manages(apply.FieldManager(controller), "")
}

// notLookedAfter says why a controller does not look after an object, and is empty if it does. looks says whether it looks
// after objects of a kind, and in the object's namespace.
func notLookedAfter(conf *config.Config, controller string, object *kube.Object, looks func(*config.Controller, *kube.Object) (kind, namespace bool), verb string) string {
	if conf == nil {
		return stateOf(object)
	}
	for i := range conf.Controllers {
		entry := &conf.Controllers[i]
		if entry.Name != controller {
			continue
		}
		switch kind, namespace := looks(entry, object); {
		case !kind:
			return fmt.Sprintf("controller %s does not %s kind %s", controller, verb, object.Kind.Kind)
		case !namespace:
			return fmt.Sprintf("controller %s does not %s kind %s in namespace %s", controller, verb, object.Kind.Kind, object.Namespace)
		default:
			return ""
		}
	}
	return fmt.Sprintf("there is no controller %s in the config", controller)
}

// ownsChild says whether a controller owns children like this one. A child with an owner reference is in its owner's
// namespace, wherever that is, and goes with the owner.
func ownsChild(entry *config.Controller, child *kube.Object) (kind, namespace bool) {
	for i := range entry.Owns {
		if entry.Owns[i].Schema().GroupKind() == child.Kind.GroupKind() {
			_, owner, _ := apply.ClaimedBy(child)
			refers := slices.ContainsFunc(child.Owners, func(o kube.Owner) bool { return o.UID == owner })
			return true, refers || isAmong(entry.OwnedNamespaces(&entry.Owns[i]), child.Namespace)
		}
	}
	return false, false
}

func reconcilesObject(entry *config.Controller, object *kube.Object) (kind, namespace bool) {
	for i := range entry.For {
		if entry.For[i].Schema().GroupKind() == object.Kind.GroupKind() {
			alone := &config.Controller{For: entry.For[i : i+1]}
			return true, isAmong(alone.ReconciledNamespaces(), object.Namespace)
		}
	}
	return false, false
}

// isAmong says whether a namespace is among others, of which nil stands for all.
func isAmong(namespaces []string, namespace string) bool {
	return namespaces == nil || namespace == "" || slices.Contains(namespaces, namespace)
}

func stateOf(object *kube.Object) string {
	if object.Deleting {
		return "is being deleted, and waits for the controller"
	}
	return "is not being deleted"
}

// Remove deletes a child that was left over, or takes the finalizer off an object that was. It fails if the object is not
// as it was found.
func (l *Leftovers) Remove(ctx context.Context, leftover Leftover) error {
	if leftover.Held {
		_, err := apply.New(leftover.Controller, nil, l.client, apply.Options{}).Release(ctx, leftover.Object, leftover.Controller)
		return err
	}
	if err := l.client.Delete(ctx, leftover.Object); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete %s: %w", leftover.Object, err)
	}
	return nil
}

// reportPause is how long a host works before it looks for leftovers, since that is not urgent.
const reportPause = time.Minute

// reporter says in the log what is left over of controllers and kinds that were in an earlier config. It implements
// manager.Runnable.
type reporter struct {
	leftovers *Leftovers
	config    func() *config.Config // all that may be somebody's
	pause     time.Duration         // 0: reportPause
	log       logr.Logger
}

// NeedLeaderElection is true: one report is enough.
func (r *reporter) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (r *reporter) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(cmp.Or(r.pause, reportPause)):
	}
	r.report(ctx)
	return nil
}

func (r *reporter) report(ctx context.Context) {
	found, _, err := r.leftovers.Find(ctx, r.config())
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.log.Error(err, "cannot look for what earlier configs left over")
		return
	}
	counts := summarise(found)
	for _, line := range slices.SortedFunc(maps.Keys(counts), summary.compare) {
		line.log(r.log, counts[line])
	}
}

// summary is what is said of leftovers in one line.
type summary struct {
	controller string
	kind       schema.GroupKind
	held       bool
	why        string
}

// summarise counts what is left over by what is to be said of it.
func summarise(found []Leftover) map[summary]int {
	counts := map[summary]int{}
	for _, leftover := range found {
		counts[summary{leftover.Controller, leftover.Object.Kind.GroupKind(), leftover.Held, leftover.Why}]++
	}
	return counts
}

func (s summary) compare(other summary) int {
	return cmp.Or(cmp.Compare(s.controller, other.controller), cmp.Compare(s.kind.String(), other.kind.String()), cmp.Compare(s.why, other.why))
}

func (s summary) log(log logr.Logger, count int) {
	message, see := "children are left over, which no controller of this config looks after", "wasmloop prune --config FILE --controller "
	if s.held {
		message, see = "objects have a finalizer that no controller of this config takes off", "wasmloop release --controller "
	}
	log.Info(message, "controller", s.controller, "kind", s.kind.String(), "objects", count, "because", s.why, "see", see+s.controller)
}
