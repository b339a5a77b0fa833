package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// maxRounds is how often a module is called in one reconcile, until what it asks for is what it was given.
const maxRounds = 5

// RelatedOptions say which objects a module may see beside its children.
type RelatedOptions struct {
	// Rules are what every request has.
	Rules []abi.Related
	// Allow is what responses may ask for.
	Allow []AllowedRelated
	// Views are what the module sees of the objects, by kind. All, if nothing is said.
	Views map[schema.GroupVersionKind]View
	// Reader reads them. It may be nil if there are neither Rules nor Allow.
	Reader RelatedReader
}

// AllowedRelated is what responses may ask for of one kind.
type AllowedRelated struct {
	Kind schema.GroupVersionKind
	// Namespaces are the namespaces beside the object's own; AllNamespaces stands for all.
	Namespaces []string
	// Names are the names that may be asked for. Empty: all.
	Names []string
}

// RelatedReader reads related objects from a cache.
type RelatedReader interface {
	// Follow has the cache hold the objects of a kind, and whoever asked for one of them woken when it changes. It returns
	// when the cache holds all, and says whether they live in namespaces. If they cannot be had, the object that they are
	// for is woken when they can.
	Follow(ctx context.Context, kind schema.GroupVersionKind, object types.NamespacedName) (namespaced bool, err error)
	// Get returns an object, nil if there is none.
	Get(ctx context.Context, id kube.ID) (*kube.Object, error)
	// InNamespace returns the objects of a kind in a namespace, or in all ("").
	InNamespace(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]*kube.Object, error)
}

// selection is a related rule, resolved for an object.
type selection struct {
	kind schema.GroupVersionKind
	// namespace is where the objects are; empty: everywhere, or in none.
	namespace string
	names     []string        // nil: not by names
	selector  labels.Selector // of the labels, if it is not by names
}

// matches says whether a selection by labels has an object in it.
func (s selection) matches(object *kube.Object) bool {
	if s.kind != object.Kind || s.namespace != "" && s.namespace != object.Namespace {
		return false
	}
	if s.selector.Empty() {
		return true
	}
	set, _, err := object.LabelsAndAnnotations()
	return err == nil && s.selector.Matches(labels.Set(set))
}

// relate adds to an observation the objects that the config's rules and these name.
func (r *Reconciler) relate(ctx context.Context, name types.NamespacedName, observed *observation, rules []abi.Related) error {
	observed.asked = rules
	selections, err := r.resolveAll(ctx, name, rules)
	if err != nil {
		return err
	}
	// Whatever changes from now on wakes the object, so that nothing is missed that is not read yet.
	r.dependencies.depend(name, selections)
	return r.readAll(ctx, observed, selections)
}

// resolveAll completes the config's rules and these for the object of this name.
func (r *Reconciler) resolveAll(ctx context.Context, name types.NamespacedName, rules []abi.Related) ([]selection, error) {
	selections := make([]selection, 0, len(r.controller.Related.Rules)+len(rules))
	for _, rule := range slices.Concat(r.controller.Related.Rules, rules) {
		selected, err := r.resolve(ctx, rule, name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the related objects of kind %s: %w", rule.Kind, err)
		}
		selections = append(selections, selected)
	}
	return selections, nil
}

// readAll adds to an observation the objects of selections.
func (r *Reconciler) readAll(ctx context.Context, observed *observation, selections []selection) error {
	observed.related = map[schema.GroupVersionKind][]*kube.Object{}
	for _, selected := range selections {
		found, err := r.read(ctx, selected)
		if err != nil {
			return fmt.Errorf("cannot read the related objects of kind %s: %w", selected.kind.Kind, err)
		}
		observed.related[selected.kind] = append(observed.related[selected.kind], found...)
	}
	for kind, objects := range observed.related {
		slices.SortFunc(objects, func(a, b *kube.Object) int { return cmp.Compare(a.UID, b.UID) })
		observed.related[kind] = slices.CompactFunc(objects, func(a, b *kube.Object) bool { return a.UID == b.UID })
	}
	return nil
}

// resolve completes a rule for the object of this name.
func (r *Reconciler) resolve(ctx context.Context, rule abi.Related, name types.NamespacedName) (selection, error) {
	kind := schema.FromAPIVersionAndKind(rule.APIVersion, rule.Kind)
	namespaced, err := r.controller.Related.Reader.Follow(ctx, kind, name)
	if err != nil {
		return selection{}, err
	}
	selected := selection{kind: kind, names: rule.Names, selector: labels.Everything()}
	switch {
	case !namespaced:
	case rule.Namespace == AllNamespaces:
	default:
		if selected.namespace = cmp.Or(rule.Namespace, name.Namespace); selected.namespace == "" {
			return selection{}, fmt.Errorf("the reconciled object has no namespace: name one, or %q for all", AllNamespaces)
		}
	}
	if rule.LabelSelector != nil {
		selected.selector, err = selectorOf(rule.LabelSelector)
	}
	return selected, err
}

func selectorOf(selector *abi.LabelSelector) (labels.Selector, error) {
	converted := &metav1.LabelSelector{MatchLabels: selector.MatchLabels}
	for _, expression := range selector.MatchExpressions {
		converted.MatchExpressions = append(converted.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: expression.Key, Operator: metav1.LabelSelectorOperator(expression.Operator), Values: expression.Values,
		})
	}
	return metav1.LabelSelectorAsSelector(converted)
}

// read returns the objects of a selection that there are.
func (r *Reconciler) read(ctx context.Context, selected selection) ([]*kube.Object, error) {
	reader := r.controller.Related.Reader
	if selected.names == nil {
		objects, err := reader.InNamespace(ctx, selected.kind, selected.namespace)
		return slices.DeleteFunc(objects, func(object *kube.Object) bool { return !selected.matches(object) }), err
	}
	objects := make([]*kube.Object, 0, len(selected.names))
	for _, name := range selected.names {
		object, err := reader.Get(ctx, kube.ID{GroupVersionKind: selected.kind, NamespacedName: types.NamespacedName{Namespace: selected.namespace, Name: name}})
		if err != nil {
			return nil, err
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// checkRelated refuses a rule that the config does not allow.
func (r *Reconciler) checkRelated(rule abi.Related, namespace string) error {
	kind := schema.FromAPIVersionAndKind(rule.APIVersion, rule.Kind)
	if rule.Namespace == AllNamespaces && rule.Names != nil {
		return errors.New("names in all namespaces: name the namespace, or select by labels")
	}
	known := false
	for _, allowed := range r.controller.Related.Allow {
		if allowed.Kind != kind {
			continue
		}
		known = true
		if allowed.allows(rule, namespace) {
			if rule.LabelSelector == nil {
				return nil
			}
			_, err := selectorOf(rule.LabelSelector)
			return err
		}
	}
	if !known {
		return fmt.Errorf("kind %s %s is not allowed: add it to related.allow in the controller's config", rule.APIVersion, rule.Kind)
	}
	return fmt.Errorf("namespace %q with names %q is not allowed for kind %s: see related.allow in the controller's config",
		rule.Namespace, rule.Names, rule.Kind)
}

// allows says whether a response may ask for this. Whether the kind has namespaces makes no difference: where it has none, a
// rule that names one selects nothing beyond.
func (a AllowedRelated) allows(rule abi.Related, namespace string) bool {
	own := rule.Namespace == "" || rule.Namespace == namespace
	if !own && !slices.Contains(a.Namespaces, AllNamespaces) && !slices.Contains(a.Namespaces, rule.Namespace) {
		return false
	}
	if len(a.Names) == 0 {
		return true
	}
	return rule.Names != nil && !slices.ContainsFunc(rule.Names, func(name string) bool { return !slices.Contains(a.Names, name) })
}

// sameRules says whether two responses ask for the same.
func sameRules(a, b []abi.Related) bool { return encodeRules(a) == encodeRules(b) }

func encodeRules(rules []abi.Related) string {
	if len(rules) == 0 {
		return ""
	}
	encoded, err := json.Marshal(rules)
	if err != nil {
		panic(err) // they are made of strings
	}
	return string(encoded)
}

// dependencies know which objects asked for which others. The zero value is ready for use.
type dependencies struct {
	mu sync.Mutex
	// rules are what the last response of each object asked for.
	rules map[types.NamespacedName][]abi.Related
	// selections are what each object depends on, byName and byLabels the same the other way round.
	selections map[types.NamespacedName][]selection
	byName     map[kube.ID]map[types.NamespacedName]bool
	byLabels   map[place]map[string]*dependants
}

// place is where a selection by labels looks.
type place struct {
	kind      schema.GroupVersionKind
	namespace string // empty: everywhere
}

// dependants are the objects that depend on one selection by labels.
type dependants struct {
	selection
	objects map[types.NamespacedName]bool
}

// asked returns what the last response of an object asked for.
func (d *dependencies) asked(name types.NamespacedName) []abi.Related {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rules[name]
}

// ask remembers what the last response of an object asked for.
func (d *dependencies) ask(name types.NamespacedName, rules []abi.Related) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(rules) == 0 {
		delete(d.rules, name)
		return
	}
	if d.rules == nil {
		d.rules = map[types.NamespacedName][]abi.Related{}
	}
	d.rules[name] = rules
}

// depend has an object depend on these selections, and on no others.
func (d *dependencies) depend(name types.NamespacedName, selections []selection) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(name)
	if len(selections) == 0 {
		return
	}
	if d.selections == nil {
		d.selections = map[types.NamespacedName][]selection{}
		d.byName = map[kube.ID]map[types.NamespacedName]bool{}
		d.byLabels = map[place]map[string]*dependants{}
	}
	d.selections[name] = selections
	for _, selected := range selections {
		d.each(selected, func(objects map[types.NamespacedName]bool) { objects[name] = true })
	}
}

// each calls visit with the objects that depend on each part of a selection.
func (d *dependencies) each(selected selection, visit func(objects map[types.NamespacedName]bool)) {
	if selected.names == nil {
		where, key := place{selected.kind, selected.namespace}, selected.selector.String()
		byKey := d.byLabels[where]
		if byKey == nil {
			byKey = map[string]*dependants{}
			d.byLabels[where] = byKey
		}
		if byKey[key] == nil {
			byKey[key] = &dependants{selected, map[types.NamespacedName]bool{}}
		}
		if visit(byKey[key].objects); len(byKey[key].objects) == 0 {
			delete(byKey, key)
		}
		if len(byKey) == 0 {
			delete(d.byLabels, where)
		}
		return
	}
	for _, name := range selected.names {
		id := kube.ID{GroupVersionKind: selected.kind, NamespacedName: types.NamespacedName{Namespace: selected.namespace, Name: name}}
		if d.byName[id] == nil {
			d.byName[id] = map[types.NamespacedName]bool{}
		}
		if visit(d.byName[id]); len(d.byName[id]) == 0 {
			delete(d.byName, id)
		}
	}
}

func (d *dependencies) forget(name types.NamespacedName) {
	for _, selected := range d.selections[name] {
		d.each(selected, func(objects map[types.NamespacedName]bool) { delete(objects, name) })
	}
	delete(d.selections, name)
}

// forgetAll forgets all about an object that is gone.
func (d *dependencies) forgetAll(name types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(name)
	delete(d.rules, name)
}

// on returns the objects that depend on an object, each once.
func (d *dependencies) on(object *kube.Object) []types.NamespacedName {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[types.NamespacedName]bool{}
	for name := range d.byName[object.ID()] {
		found[name] = true
	}
	for _, namespace := range slices.Compact([]string{"", object.Namespace}) {
		for _, dependants := range d.byLabels[place{object.Kind, namespace}] {
			if dependants.matches(object) {
				maps.Copy(found, dependants.objects)
			}
		}
	}
	return slices.Collect(maps.Keys(found))
}

// of returns the objects that depend on a kind.
func (d *dependencies) of(kind schema.GroupVersionKind) (askers []types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, selections := range d.selections {
		if slices.ContainsFunc(selections, func(s selection) bool { return s.kind == kind }) {
			askers = append(askers, name)
		}
	}
	return askers
}

// Asking returns the objects that have asked for objects of a kind.
func (r *Reconciler) Asking(kind schema.GroupVersionKind) []types.NamespacedName {
	return r.dependencies.of(kind)
}

// Related returns the objects that have asked for this one, and are woken by its events.
func (r *Reconciler) Related(object *kube.Object) []types.NamespacedName {
	return r.dependencies.on(object)
}
