package engine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

// account is whom the host acts as. What it watches as one account it does not show to a controller of another, so that the API
// server alone decides what a controller may see.
type account struct {
	// name says in messages who it is.
	name    string
	client  *kube.Client
	cache   *kube.Cache
	reviews authorizationclient.SelfSubjectAccessReviewInterface
	// own is true for the host's own account.
	own bool
	// token is true for one that has a token of its own.
	token bool
	// subject is what events about the account are recorded on. nil: nothing is known that would do.
	subject *corev1.ObjectReference
}

// accounts are those that the host acts as, each made when it is first needed.
type accounts struct {
	cluster *rest.Config // as the host itself
	mapper  *setup.Mapper
	log     logr.Logger

	mu   sync.Mutex
	each map[string]*account
}

// of returns the account of a controller.
func (a *accounts) of(entry *config.Controller) (*account, error) {
	key := entry.ServiceAccount + "\n" + entry.TokenFile
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.each[key]; known != nil {
		return known, nil
	}
	made, err := a.open(entry.ServiceAccount, entry.TokenFile)
	if err != nil {
		return nil, err
	}
	if a.each == nil {
		a.each = map[string]*account{}
	}
	a.each[key] = made
	return made, nil
}

func (a *accounts) open(serviceAccount, tokenFile string) (*account, error) {
	made, cluster := &account{name: "the host", own: true, subject: ownPod()}, rest.CopyConfig(a.cluster)
	switch {
	case tokenFile != "":
		cluster = rest.AnonymousClientConfig(cluster)
		cluster.BearerTokenFile = tokenFile
		made.name, made.own, made.token, made.subject = "the account of the token in "+tokenFile, false, true, nil
	case serviceAccount != "":
		namespace, name, _ := strings.Cut(serviceAccount, "/")
		cluster.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + name}
		made.name, made.own = "ServiceAccount "+serviceAccount, false
		made.subject = &corev1.ObjectReference{APIVersion: "v1", Kind: "ServiceAccount", Namespace: namespace, Name: name}
	}
	httpClient, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return nil, fmt.Errorf("cannot act as %s: %w", made.name, err)
	}
	if made.client, err = kube.NewClient(cluster, httpClient, a.mapper); err != nil {
		return nil, err
	}
	reviews, err := authorizationclient.NewForConfigAndClient(cluster, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot ask what %s may do: %w", made.name, err)
	}
	made.reviews = reviews.SelfSubjectAccessReviews()
	made.client.Observe = countRequest
	made.cache = kube.NewCache(made.client, reconcile.IndexKeys)
	made.cache.OnError = (&watchReport{log: a.log, account: made.name}).report
	return made, nil
}

// synced says whether all that is watched is held.
func (a *accounts) synced() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, each := range a.each {
		if !each.cache.Synced() {
			return false
		}
	}
	return true
}

// namespaceFile is where a Pod finds the name of its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ownPod returns the Pod that the host runs in, nil if it does not run in one.
func ownPod() *corev1.ObjectReference {
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil {
		return nil
	}
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: strings.TrimSpace(string(namespace)), Name: name}
}

// right is a right to read.
type right struct {
	verb, group, resource, namespace, name string
}

// String says it as the API server does.
func (r right) String() string {
	resource := schema.GroupResource{Group: r.group, Resource: r.resource}.String()
	if r.name != "" {
		resource += "/" + r.name
	}
	if r.namespace == "" {
		return fmt.Sprintf("%s %s in the whole cluster", r.verb, resource)
	}
	return fmt.Sprintf("%s %s in namespace %s", r.verb, resource, r.namespace)
}

// forbiddenError says which right an account lacks.
type forbiddenError struct {
	account string
	lacking string
}

// Error names the account, the verb and the resource.
func (e *forbiddenError) Error() string { return fmt.Sprintf("%s may not %s", e.account, e.lacking) }

// forbidden returns what the API server refused as a forbiddenError.
func (a *account) forbidden(err error) error {
	return &forbiddenError{a.name, "do this: " + err.Error()}
}

// refused says whether the API server refuses the account something, or does not know its token any more. That of the host, by which
// it acts as others, too, is known again before long: there is a new one from time to time.
func (a *account) refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) && a.token
}

// review asks the API server whether the account has rights, and returns a *forbiddenError if it lacks some.
func (a *account) review(ctx context.Context, rights []right) error {
	var lacking []string
	for _, each := range rights {
		answer, err := a.reviews.Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: each.verb, Group: each.group, Resource: each.resource, Namespace: each.namespace, Name: each.name,
			}},
		}, metav1.CreateOptions{})
		switch {
		case apierrors.IsForbidden(err) && a.own: // it is not needed, and the watches will tell
			return nil
		case apierrors.IsUnauthorized(err) && a.token:
			return a.forbidden(err)
		case apierrors.IsForbidden(err):
			return &forbiddenError{"the host", fmt.Sprintf("act as %s: %v", a.name, err)}
		case err != nil:
			return fmt.Errorf("cannot ask what %s may do: %w", a.name, err)
		case !answer.Status.Allowed:
			lacking = append(lacking, each.String())
		}
	}
	if len(lacking) > 0 {
		return &forbiddenError{a.name, strings.Join(lacking, ", nor ")}
	}
	return nil
}

// rightsOf returns the rights that watching needs.
func (a *accounts) rightsOf(selections []kube.Selection) (rights []right, err error) {
	for _, selection := range selections {
		mapping, err := a.mapper.RESTMapping(selection.GroupKind(), selection.Version)
		if err != nil {
			return nil, err
		}
		for _, verb := range []string{"list", "watch"} {
			needed := right{verb, selection.Group, mapping.Resource.Resource, selection.Namespace, selection.ObjectName()}
			if !slices.Contains(rights, needed) {
				rights = append(rights, needed)
			}
		}
	}
	return rights, nil
}
