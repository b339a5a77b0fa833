// Package setup turns an entry of the config into what reconciles its objects. The host and the command line share it, so
// that a module does the same in both.
package setup

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Controller returns what is to be said of the controller of an entry for its i-th kind of reconciled objects. What depends on
// where it runs is left out: Related.Reader, Live and Outcomes.
func Controller(entry *config.Controller, i int, kind reconcile.Kind, owned []reconcile.OwnedKind) (c reconcile.Controller, err error) {
	times, err := timesOf(entry)
	if err != nil {
		return c, err
	}
	selector, err := SelectorOf(&entry.For[i])
	if err != nil {
		return c, err
	}
	return reconcile.Controller{
		Name:     entry.Name,
		For:      kind,
		Selector: selector,
		View:     viewOf(entry.For[i].Projection),
		Owns:     owned,
		Related:  relatedOf(&entry.Related),
		Clock:    entry.Clock,
		Finalize: entry.Finalize,
		Settings: entry.Settings,
		Resync:   times.resync, MinInterval: times.minInterval, Schedule: times.schedule,
	}, nil
}

// Owned returns the kinds of children of an entry, which the cluster serves as kinds says, in the same order.
func Owned(entry *config.Controller, kinds []reconcile.Kind) []reconcile.OwnedKind {
	owned := make([]reconcile.OwnedKind, len(kinds))
	for i, each := range entry.Owns {
		owned[i] = reconcile.OwnedKind{Kind: kinds[i], Namespaces: each.Namespaces, View: reconcile.View(each.View), Options: apply.KindOptions{
			Strategy:      apply.Strategy(each.UpdateStrategy),
			Orphan:        each.Prune.Orphan,
			NotController: each.OwnerReference == config.OwnerReferenceOwner,
		}}
	}
	return owned
}

// ApplyOptions returns how the children of an entry are applied.
func ApplyOptions(entry *config.Controller, owned []reconcile.OwnedKind) apply.Options {
	options := apply.Options{
		Adopt: entry.Adopt, MaxPrune: entry.Prune.MaxPerReconcile, Kinds: map[schema.GroupVersionKind]apply.KindOptions{},
	}
	for _, kind := range owned {
		options.Kinds[kind.GroupVersionKind] = kind.Options
	}
	return options
}

// viewOf returns what a module sees of a kind.
func viewOf(projection config.Projection) reconcile.View {
	view := reconcile.View(projection.View)
	if projection.MetadataOnly && len(view.Fields) == 0 {
		view.Fields = []string{"metadata"}
	}
	return view
}

// relatedOf returns which related objects a module may see.
func relatedOf(entry *config.Related) reconcile.RelatedOptions {
	options := reconcile.RelatedOptions{Views: map[schema.GroupVersionKind]reconcile.View{}}
	for _, rule := range entry.Rules {
		translated := abi.Related{APIVersion: rule.APIVersion, Kind: rule.Kind, Namespace: rule.Namespace, Names: rule.Names}
		if rule.LabelSelector != nil {
			translated.LabelSelector = labelSelectorOf(rule.LabelSelector)
		}
		options.Rules = append(options.Rules, translated)
		options.Views[rule.Schema()] = viewOf(rule.Projection)
	}
	for _, allowed := range entry.Allow {
		options.Allow = append(options.Allow, reconcile.AllowedRelated{
			Kind: allowed.Schema(), Namespaces: allowed.Namespaces, Names: allowed.Names,
		})
		options.Views[allowed.Schema()] = viewOf(allowed.Projection)
	}
	return options
}

func labelSelectorOf(selector *config.LabelSelector) *abi.LabelSelector {
	translated := &abi.LabelSelector{MatchLabels: selector.MatchLabels}
	for _, expression := range selector.MatchExpressions {
		translated.MatchExpressions = append(translated.MatchExpressions, abi.LabelSelectorRequirement(expression))
	}
	return translated
}
