package render

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Plan is a controller and what there is in its cluster, ready to be started any number of times.
type Plan struct {
	input  Input
	entry  config.Controller
	madeUp bool // the entry
	kinds  *kinds
	note   func(string)

	only    *kube.ID
	objects []Object
	// unclaimed are the objects that say nothing themselves of whose children they are, and claims say it of some of them.
	unclaimed map[kube.ID]bool
	claims    map[kube.ID]kube.ID
	fors      []reconcile.Kind
	owned     []reconcile.OwnedKind
}

// Prepare makes a plan of an input. Errors say what is wrong with the input.
func Prepare(ctx context.Context, input Input, note func(string)) (*Plan, error) {
	p := &Plan{input: input, note: note, claims: map[kube.ID]kube.ID{}}
	if err := p.readEntry(); err != nil {
		return nil, err
	}
	all := slices.Clone(input.Objects)
	if input.Only != nil {
		all = append([]Object{input.Only}, all...)
	}
	var err error
	//nolint:contextcheck // what it does at first is over at once
	if p.kinds, err = newKinds(all, note); err != nil {
		return nil, err
	}
	if p.objects, err = p.kinds.place(ctx, all); err != nil {
		return nil, err
	}
	if input.Only != nil {
		p.only = new(IDOf(p.objects[0]))
	}
	p.findUnclaimed()
	return p, p.resolve(ctx)
}

func (p *Plan) readEntry() (err error) {
	entry := p.input.Entry
	switch {
	case entry != nil:
	case p.input.Only == nil && p.input.For.Empty():
		return errors.New("a controller is needed where nothing says which kind is reconciled")
	default:
		p.madeUp = true
		kind := p.input.For
		if p.input.Only != nil {
			kind = p.input.Only.GroupVersionKind()
		}
		if entry, err = makeUpEntry(p.input.Name, kind); err != nil {
			return err
		}
	}
	p.entry = *entry
	p.entry.Owns = slices.Clone(entry.Owns)
	p.entry.Related.Allow = slices.Clone(entry.Related.Allow)
	if only := p.input.Only; only != nil && !p.reconciles(only.GroupVersionKind()) {
		return fmt.Errorf("%s is of kind %s %s, and controller %s reconciles %s",
			IDOf(only), only.GetAPIVersion(), only.GetKind(), p.entry.Name, kindList(p.entry.ForKinds()))
	}
	return nil
}

func (p *Plan) reconciles(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(p.entry.ForKinds(), func(each config.GroupVersionKind) bool { return each.Schema() == kind })
}

func kindList(kinds []config.GroupVersionKind) string {
	texts := make([]string, len(kinds))
	for i, kind := range kinds {
		texts[i] = kindText(kind)
	}
	return strings.Join(texts, ", ")
}

// resolve finds out how the kinds of the entry are served.
func (p *Plan) resolve(ctx context.Context) error {
	p.fors = nil
	for _, kind := range p.entry.ForKinds() {
		found, err := p.kinds.find(ctx, kind.Schema(), true)
		if err != nil {
			return err
		}
		p.fors = append(p.fors, found)
	}
	var owned []reconcile.Kind
	for _, kind := range p.entry.OwnedKinds() {
		found, err := p.kinds.find(ctx, kind.Schema(), p.fors[0].Namespaced)
		if err != nil {
			return err
		}
		owned = append(owned, found)
	}
	p.owned = setup.Owned(&p.entry, owned)
	for _, rule := range p.entry.Related.Rules {
		if _, err := p.kinds.find(ctx, rule.Schema(), true); err != nil {
			return err
		}
	}
	for _, allowed := range p.entry.Related.Allow {
		if _, err := p.kinds.find(ctx, allowed.Schema(), true); err != nil {
			return err
		}
	}
	return nil
}

// controllers returns what is to be said of the controller for each kind of reconciled objects. Nothing is awaited but what
// happens in the cluster: neither a resync nor the least time between two calls.
func (p *Plan) controllers() ([]reconcile.Controller, error) {
	all := make([]reconcile.Controller, len(p.fors))
	for i, kind := range p.fors {
		var err error
		if all[i], err = setup.Controller(&p.entry, i, kind, p.owned); err != nil {
			return nil, err
		}
		all[i].Resync, all[i].MinInterval = 0, 0
	}
	return all, nil
}

func (p *Plan) applyOptions() apply.Options { return setup.ApplyOptions(&p.entry, p.owned) }

// Grow adds to the plan what the answers in a cluster have shown to be missing, and says whether there was anything: kinds that
// an entry lacks that was made up, and children among the objects that say of nobody that they are his.
func (p *Plan) Grow(ctx context.Context, cluster *Cluster) (grown bool, err error) {
	if !p.madeUp && len(p.unclaimed) == 0 {
		return false, nil
	}
	for _, outcome := range cluster.Outcomes() {
		for _, added := range p.widen(outcome) {
			p.note("the controller is taken to have " + added)
			grown = true
		}
		if outcome.Answer() == nil {
			continue
		}
		if err := p.resolveNew(ctx, outcome); err != nil {
			return false, err
		}
		grown = p.claim(outcome) || grown
	}
	if grown {
		err = p.resolve(ctx)
	}
	return grown, err
}

func (p *Plan) widen(outcome *Outcome) []string {
	switch {
	case !p.madeUp:
		return nil
	case outcome.Answer() == nil:
		return widenByError(&p.entry, outcome.Err)
	default:
		return widen(&p.entry, outcome.ID.Namespace, outcome.Answer())
	}
}

// resolveNew makes up the kinds of children that are not known, each by its first child.
func (p *Plan) resolveNew(ctx context.Context, outcome *Outcome) error {
	if !p.madeUp {
		return nil
	}
	for _, child := range outcome.Answer().Children {
		named := child.Reference()
		kind := schema.FromAPIVersionAndKind(named.APIVersion, named.Kind)
		if _, err := p.kinds.find(ctx, kind, named.Namespace != "" || outcome.ID.Namespace != ""); err != nil {
			return err
		}
	}
	return nil
}

// childID names a child of an object, in its namespace unless the child says otherwise.
func (p *Plan) childID(named abi.Reference, namespace string) kube.ID {
	id := kube.ID{GroupVersionKind: schema.FromAPIVersionAndKind(named.APIVersion, named.Kind)}
	id.Namespace, id.Name = named.Namespace, named.Name
	if namespaced, err := p.kinds.namespaced(id.GroupVersionKind); err == nil && namespaced && id.Namespace == "" {
		id.Namespace = namespace
	}
	return id
}

// Only is the object that is reconciled, nil if there are several.
func (p *Plan) Only() Object {
	if p.only == nil {
		return nil
	}
	return p.objects[0]
}

// Replace returns a plan with another object in the place of the one that is reconciled. It has the same name.
func (p *Plan) Replace(only Object) *Plan {
	other := *p
	other.entry.Owns = slices.Clone(p.entry.Owns)
	other.entry.Related.Allow = slices.Clone(p.entry.Related.Allow)
	other.claims = maps.Clone(p.claims)
	other.objects = append([]Object{only}, p.objects[1:]...)
	return &other
}

// Place returns copies of objects that are to come into the cluster later, each with a namespace if and only if its kind is
// namespaced. Kinds that are not known are made up, so that they must be placed before Start.
func (p *Plan) Place(ctx context.Context, objects []Object) ([]Object, error) {
	return p.kinds.place(ctx, objects)
}

// ID returns what a reference names, in the namespace default unless it says otherwise.
func (p *Plan) ID(named abi.Reference) kube.ID { return p.childID(named, metav1.NamespaceDefault) }
