package config

import "slices"

// AllNamespaces stands for all namespaces.
const AllNamespaces = "*"

// OwnedKinds returns the kinds of Owns.
func (c *Controller) OwnedKinds() []GroupVersionKind {
	kinds := make([]GroupVersionKind, len(c.Owns))
	for i, owned := range c.Owns {
		kinds[i] = owned.GroupVersionKind
	}
	return kinds
}

// ForKinds returns the kinds of For.
func (c *Controller) ForKinds() []GroupVersionKind {
	kinds := make([]GroupVersionKind, len(c.For))
	for i, reconciled := range c.For {
		kinds[i] = reconciled.GroupVersionKind
	}
	return kinds
}

// ReconciledNamespaces returns the namespaces that the reconciled objects may be in; nil stands for all.
func (c *Controller) ReconciledNamespaces() (namespaces []string) {
	for i := range c.For {
		confined := c.For[i].Namespaces
		if len(confined) == 0 || slices.Contains(confined, AllNamespaces) || slices.Contains(confined, "") {
			return nil
		}
		namespaces = append(namespaces, confined...)
	}
	return sorted(namespaces)
}

// OwnedNamespaces returns the namespaces that children of a kind of Owns may be in; nil stands for all.
func (c *Controller) OwnedNamespaces(owned *Owned) []string {
	return c.beside(owned.Namespaces)
}

// beside returns the namespaces of the reconciled objects and these; nil stands for all.
func (c *Controller) beside(namespaces []string) []string {
	own := c.ReconciledNamespaces()
	if own == nil || slices.Contains(namespaces, AllNamespaces) {
		return nil
	}
	return sorted(slices.Concat(own, namespaces))
}

// RelatedScope is where the objects of a kind may be that a module may see as related ones, and what is known of them.
type RelatedScope struct {
	// Namespaces and Names are those that they may have. nil: all.
	Namespaces, Names []string
	// LabelSelector selects them by labels. nil: all.
	LabelSelector *LabelSelector
	Projection
}

// maxByName is how many names are watched one by one.
const maxByName = 16

// ByName says whether the objects are watched one by one, by their names: then nobody needs a right to others.
func (s RelatedScope) ByName() bool { return len(s.Names) > 0 && len(s.Names) <= maxByName }

// RelatedKinds returns the kinds of related objects that the module may see, each once.
func (c *Controller) RelatedKinds() (kinds []GroupVersionKind) {
	add := func(kind GroupVersionKind) {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	for _, rule := range c.Related.Rules {
		add(rule.GroupVersionKind)
	}
	for _, allowed := range c.Related.Allow {
		add(allowed.GroupVersionKind)
	}
	return kinds
}

// RelatedScope returns what the rules and responses may ask for of a kind at the most.
func (c *Controller) RelatedScope(kind GroupVersionKind) RelatedScope {
	var scopes []RelatedScope
	for _, rule := range c.Related.Rules {
		if rule.GroupVersionKind != kind {
			continue
		}
		scope := RelatedScope{c.ReconciledNamespaces(), sorted(rule.Names), rule.LabelSelector, rule.Projection}
		switch rule.Namespace {
		case "":
		case AllNamespaces:
			scope.Namespaces = nil
		default:
			scope.Namespaces = []string{rule.Namespace}
		}
		scopes = append(scopes, scope)
	}
	for _, allowed := range c.Related.Allow {
		if allowed.GroupVersionKind == kind {
			scopes = append(scopes, RelatedScope{c.beside(allowed.Namespaces), sorted(allowed.Names), nil, allowed.Projection})
		}
	}
	if len(scopes) == 0 {
		return RelatedScope{}
	}
	whole := scopes[0]
	for _, scope := range scopes[1:] { // their projections are the same
		whole.Namespaces, whole.Names = either(whole.Namespaces, scope.Namespaces), either(whole.Names, scope.Names)
		whole.LabelSelector = nil
	}
	return whole
}

// either returns what is in one of two lists, of which nil stands for all.
func either(a, b []string) []string {
	if a == nil || b == nil {
		return nil
	}
	return sorted(slices.Concat(a, b))
}

// sorted returns each of the names once, and nil if there are none.
func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
