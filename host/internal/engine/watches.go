package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

// watches are what a controller watches from its start on.
type watches struct {
	fors  []forWatch
	owned []kube.Selection // in no order; those of one kind have no object in common
	// namespaces is true if it watches the labels of namespaces.
	namespaces bool
}

// selections returns all that is watched.
func (w watches) selections() (all []kube.Selection) {
	for _, planned := range w.fors {
		all = append(all, planned.selections...)
	}
	all = append(all, w.owned...)
	if w.namespaces {
		all = append(all, kube.Selection{GroupVersionKind: reconcile.NamespaceKind})
	}
	return all
}

// forWatch is how a reconciled kind is watched.
type forWatch struct {
	selections []kube.Selection
	// selector is what the API server leaves to the host.
	selector reconcile.Selector
	// partial is true if the cache has not all of an object.
	partial bool
}

// plan finds out what is to be watched. The API server is asked for no more than is needed, wherever nothing is lost by
// that: see selectionsOf.
func (r *runner) plan(ctx context.Context, fors []reconcile.Kind, owned []reconcile.OwnedKind) (w watches, err error) {
	for i, kind := range fors {
		planned, err := r.planFor(ctx, &r.entry.For[i], kind, owned)
		if err != nil {
			return w, err
		}
		w.fors = append(w.fors, planned)
		w.namespaces = w.namespaces || r.entry.For[i].NamespaceSelector != nil
	}
	for i, kind := range owned {
		w.owned = append(w.owned, within(kube.Selection{GroupVersionKind: kind.GroupVersionKind}, r.entry.OwnedNamespaces(&r.entry.Owns[i]), kind.Namespaced)...)
	}
	return w, nil
}

// within confines a selection to namespaces, of which nil stands for all.
func within(selection kube.Selection, namespaces []string, namespaced bool) []kube.Selection {
	if !namespaced || namespaces == nil {
		return []kube.Selection{selection}
	}
	confined := make([]kube.Selection, 0, len(namespaces))
	for _, namespace := range namespaces {
		selection.Namespace = namespace
		confined = append(confined, selection)
	}
	return confined
}

func (r *runner) planFor(ctx context.Context, entry *config.Reconciled, kind reconcile.Kind, owned []reconcile.OwnedKind) (w forWatch, err error) {
	if w.selector, err = setup.SelectorOf(entry); err != nil {
		return w, err
	}
	all := kube.Selection{GroupVersionKind: kind.GroupVersionKind}
	if r.needsAllOf(kind, owned) {
		w.selections = within(all, r.neededNamespaces(kind), kind.Namespaced)
		return w, nil
	}
	all.MetadataOnly = entry.MetadataOnly
	namespaces := (&config.Controller{For: []config.Reconciled{*entry}}).ReconciledNamespaces()
	w.selections = within(all, namespaces, kind.Namespaced)
	if !r.mayHold(kind, owned) {
		if err := r.narrow(ctx, &w); err != nil {
			return w, err
		}
	}
	keep := keptOf(entry.Projection, w.selector)
	for i := range w.selections {
		w.selections[i].Keep = keep
	}
	w.partial = all.MetadataOnly || keep != ""
	return w, nil
}

// neededNamespaces returns the namespaces that the children of a kind may be in; nil stands for all. Objects of the kind that
// are reconciled are in no others.
func (r *runner) neededNamespaces(kind reconcile.Kind) []string {
	for i := range r.entry.Owns {
		if r.entry.Owns[i].Schema() == kind.GroupVersionKind {
			return r.entry.OwnedNamespaces(&r.entry.Owns[i])
		}
	}
	return nil
}

// needsAllOf says whether the controller needs objects of a kind that it reconciles for something else, too: to find its
// children among them, or the labels of namespaces.
func (r *runner) needsAllOf(kind reconcile.Kind, owned []reconcile.OwnedKind) bool {
	isOwned := slices.ContainsFunc(owned, func(o reconcile.OwnedKind) bool { return o.GroupVersionKind == kind.GroupVersionKind })
	return isOwned || kind.GroupVersionKind == reconcile.NamespaceKind && r.selectsNamespaces()
}

// mayHold says whether objects of a kind may have the controller's finalizer. Those must be seen when they are not selected
// any more, too: who does not see them cannot let go of them.
func (r *runner) mayHold(kind reconcile.Kind, owned []reconcile.OwnedKind) bool {
	stays := func(child reconcile.OwnedKind) bool { return !child.Namespaced || len(child.Namespaces) > 0 }
	return r.entry.Finalize || kind.Namespaced && slices.ContainsFunc(owned, stays)
}

// keptOf returns what the cache keeps of an object: what the module sees, and what the host selects it by.
func keptOf(projection config.Projection, selector reconcile.Selector) kube.Paths {
	if len(projection.Fields) == 0 {
		return ""
	}
	paths := slices.Clone(projection.Fields)
	if selector.Labels != nil {
		paths = append(paths, "metadata.labels")
	}
	if selector.Annotations != nil {
		paths = append(paths, "metadata.annotations")
	}
	if selector.Fields != nil {
		for _, requirement := range selector.Fields.Requirements() {
			paths = append(paths, requirement.Field)
		}
	}
	return kube.PathsOf(paths...)
}

// narrow has the API server select by labels, and by those fields that it knows. The host need not do it again.
func (r *runner) narrow(ctx context.Context, w *forWatch) error {
	selector := &w.selector
	labels, selected := "", ""
	if selector.Labels != nil {
		labels, selector.Labels = selector.Labels.String(), nil
	}
	if selector.Fields != nil && !selector.Fields.Empty() {
		known, err := r.selectsBy(ctx, w.selections[0], selector.Fields)
		if err != nil {
			return err
		}
		if selected = known.String(); selected == selector.Fields.String() {
			selector.Fields = nil
		}
	}
	for i := range w.selections {
		w.selections[i].Labels, w.selections[i].Fields = labels, selected
	}
	return nil
}

// selectsBy returns as much of a field selector as the API server knows for a kind: each kind has metadata.name and
// metadata.namespace, and what else it has is documented nowhere, so that it is tried.
func (r *runner) selectsBy(ctx context.Context, selection kube.Selection, selector fields.Selector) (fields.Selector, error) {
	_, err := r.account.client.List(ctx, selection.GroupVersionKind, selection.Namespace, metav1.ListOptions{Limit: 1, FieldSelector: selector.String()})
	switch {
	case err == nil:
		return selector, nil
	case apierrors.IsForbidden(err):
		return nil, r.account.forbidden(err)
	case !apierrors.IsBadRequest(err):
		return nil, fmt.Errorf("cannot list kind %s: %w", selection.Kind, err)
	}
	var known []fields.Selector
	for _, requirement := range selector.Requirements() {
		if requirement.Field == "metadata.name" || requirement.Field == "metadata.namespace" {
			known = append(known, fields.ParseSelectorOrDie(requirement.Field+string(requirement.Operator)+fields.EscapeValue(requirement.Value)))
		}
	}
	return fields.AndSelectors(known...), nil
}

// relatedSelections returns how a related kind is watched.
func relatedSelections(entry *config.Controller, kind schema.GroupVersionKind, namespaced bool) ([]kube.Selection, error) {
	scope := entry.RelatedScope(kindOf(kind))
	selection := kube.Selection{GroupVersionKind: kind, MetadataOnly: scope.MetadataOnly, Keep: kube.PathsOf(scope.Fields...)}
	if scope.LabelSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(scope.LabelSelector.Schema())
		if err != nil {
			return nil, fmt.Errorf("cannot use a selector of kind %s: %w", kind.Kind, err)
		}
		selection.Labels = selector.String()
	}
	if !scope.ByName() {
		return within(selection, scope.Namespaces, namespaced), nil
	}
	var byName []kube.Selection
	for _, name := range scope.Names {
		selection.Fields = fields.OneTermEqualSelector("metadata.name", name).String()
		byName = append(byName, within(selection, scope.Namespaces, namespaced)...)
	}
	return byName, nil
}

func kindOf(kind schema.GroupVersionKind) config.GroupVersionKind {
	return config.GroupVersionKind{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind}
}

// kindGoneError is why a controller stops that has to wait for a kind.
type kindGoneError struct{ kind schema.GroupVersionKind }

// Error names the kind.
func (e *kindGoneError) Error() string {
	return fmt.Sprintf("the cluster does not serve kind %s any more", e.kind.Kind)
}

// open begins to watch, and returns what fills the controller's queue. gone is told when the cluster does not serve one of the
// kinds any more, or it may not be read any more.
func (r *runner) open(w watches, run controller.TypedController[key], fors []reconcile.Kind, reconcilers dispatcher, opened kube.Watches, gone func(error)) (sources []*watchSource, err error) {
	byKind := map[schema.GroupVersionKind][]kube.Selection{}
	for _, planned := range w.fors {
		kind := planned.selections[0].GroupVersionKind
		byKind[kind] = append(byKind[kind], planned.selections...)
	}
	handlers := map[schema.GroupVersionKind][]eventHandler{}
	for _, kind := range fors {
		handlers[kind.GroupVersionKind] = append(handlers[kind.GroupVersionKind], forHandler())
	}
	isOwned := map[schema.GroupVersionKind]bool{}
	for _, selection := range w.owned {
		kind := selection.GroupVersionKind
		if !isOwned[kind] {
			isOwned[kind] = true
			handlers[kind] = append(handlers[kind], ownedHandler(fors, reconcilers.seen))
		}
		if !slices.Contains(byKind[kind], selection) { // it is not reconciled, too
			byKind[kind] = append(byKind[kind], selection)
		}
	}
	if w.namespaces {
		kind := reconcile.NamespaceKind
		if len(byKind[kind]) == 0 {
			byKind[kind] = []kube.Selection{{GroupVersionKind: kind, MetadataOnly: true, Keep: "metadata.labels"}}
		}
		handlers[kind] = append(handlers[kind], r.namespaceHandler(fors, opened))
	}
	for kind, selections := range byKind {
		watch, err := r.account.cache.Watch(func(err error) {
			switch {
			case apierrors.IsNotFound(err):
				gone(&kindGoneError{kind})
			case r.account.refused(err):
				gone(r.account.forbidden(err))
			}
		}, selections...)
		if err != nil {
			return nil, err
		}
		opened[kind] = watch
	}
	for kind, each := range handlers {
		for _, handler := range each {
			source := &watchSource{watch: opened[kind], name: kind.Kind, handler: handler, filled: make(chan struct{})}
			if err := run.Watch(source); err != nil {
				return nil, fmt.Errorf("cannot watch %s: %w", kind.Kind, err)
			}
			sources = append(sources, source)
		}
	}
	return sources, nil
}

// watchReport says in the log which kinds cannot be watched, and why, from time to time for as long as that lasts.
type watchReport struct {
	log logr.Logger
	// account says who watches.
	account string

	mu   sync.Mutex
	said map[schema.GroupVersionKind]time.Time
}

// report is told each time that something cannot be listed or watched. A watch that ends after a while, and one whose place
// in the history of changes is gone, are as it should be.
func (r *watchReport) report(selection kube.Selection, err error) {
	if errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || utilnet.IsTimeout(err) {
		return
	}
	kind := selection.GroupVersionKind
	failingWatches.WithLabelValues(kind.Kind, kind.GroupVersion().String()).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = map[schema.GroupVersionKind]time.Time{}
	}
	if time.Since(r.said[kind]) < kindReminder {
		return
	}
	r.said[kind] = time.Now()
	values := []any{"kind", kind.String(), "reason", err.Error()}
	for name, value := range map[string]string{"namespace": selection.Namespace, "labels": selection.Labels, "fields": selection.Fields} {
		if strings.TrimSpace(value) != "" {
			values = append(values, name, value)
		}
	}
	r.log.Info(r.trouble(err), values...)
}

func (r *watchReport) trouble(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return r.account + " may not watch a kind: grant it the verbs list and watch; trying again"
	case apierrors.IsNotFound(err):
		return "the cluster does not serve a kind any more: waiting for it"
	default:
		return "a kind cannot be watched: trying again"
	}
}
