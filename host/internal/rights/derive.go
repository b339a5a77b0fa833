package rights

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// derivation collects grants. What the host does is in kube/client.go (the calls), engine/watches.go (what is watched where) and
// config/scope.go (in which namespaces objects may be).
type derivation struct {
	options  Options
	accounts map[types.NamespacedName]grants
}

func (d *derivation) of(account types.NamespacedName) grants {
	if d.accounts[account] == nil {
		d.accounts[account] = grants{}
	}
	return d.accounts[account]
}

// everywhere stands for the whole cluster.
var everywhere = []string{config.AllNamespaces}

// scope returns namespaces as grants have them: nil stands for all, and what is cluster-scoped is in none.
func scope(namespaces []string, cluster bool) []string {
	if namespaces == nil || cluster {
		return everywhere
	}
	return namespaces
}

// account returns whom the host acts as for a controller, and grants the host what it needs to do so.
func (d *derivation) account(controller *config.Controller) grants {
	if controller.TokenFile != "" {
		if account, known := d.options.TokenAccounts[controller.Name]; known {
			return d.of(account)
		}
		return grants{} // nobody knows whose they are
	}
	namespace, name, given := strings.Cut(controller.ServiceAccount, "/")
	if !given {
		return d.of(d.options.Host)
	}
	host, in := d.of(d.options.Host), []string{namespace}
	host.add(in, ruleKey{"", "serviceaccounts", name}, "impersonate")
	host.add(in, ruleKey{"", "events", ""}, recording...)
	return d.of(types.NamespacedName{Namespace: namespace, Name: name})
}

func (d *derivation) controller(controller *config.Controller) {
	granted := d.account(controller)
	for i := range controller.For {
		d.reconciled(granted, &controller.For[i])
	}
	for i := range controller.Owns {
		d.owned(granted, controller, &controller.Owns[i])
	}
	d.related(granted, controller)
	if slices.ContainsFunc(controller.For, func(kind config.Reconciled) bool { return kind.NamespaceSelector != nil }) {
		granted.add(everywhere, ruleKey{"", "namespaces", ""}, reading...)
	}
}

// reconciled objects are watched, and their labels, annotations, finalizers and status patched. Of which the host holds but a part, each
// is read as a whole before its status is written. The host itself records events on them; those of cluster-scoped objects are in the
// namespace default.
func (d *derivation) reconciled(granted grants, kind *config.Reconciled) {
	resource, cluster := d.options.Kinds.Resource(kind.GroupVersionKind)
	one := config.Controller{For: []config.Reconciled{*kind}}
	namespaces := scope(one.ReconciledNamespaces(), cluster)
	key := ruleKey{group(kind.GroupVersionKind), resource, ""}
	granted.add(namespaces, key, "list", "watch", "patch")
	if kind.MetadataOnly || len(kind.Fields) > 0 {
		granted.add(namespaces, key, "get")
	}
	granted.add(namespaces, ruleKey{group(kind.GroupVersionKind), resource + "/status", ""}, "patch")
	if cluster {
		namespaces = []string{"default"}
	}
	d.of(d.options.Host).add(namespaces, ruleKey{"", "events", ""}, recording...)
}

// owned objects are applied, which creates and patches, and deleted unless they are left behind. Those of cluster-scoped objects are
// looked for in all namespaces, and written where they may be.
func (d *derivation) owned(granted grants, controller *config.Controller, kind *config.Owned) {
	resource, cluster := d.options.Kinds.Resource(kind.GroupVersionKind)
	key := ruleKey{group(kind.GroupVersionKind), resource, ""}
	read := scope(controller.OwnedNamespaces(kind), cluster)
	write := read
	if len(kind.Namespaces) > 0 && !slices.Contains(kind.Namespaces, config.AllNamespaces) && d.onlyCluster(controller) {
		write = scope(kind.Namespaces, cluster)
	}
	granted.add(read, key, reading...)
	granted.add(write, key, "create", "patch")
	if !kind.Prune.Orphan || kind.UpdateStrategy == config.UpdateRecreate {
		granted.add(write, key, "delete")
	}
}

// onlyCluster says whether all that a controller reconciles is cluster-scoped.
func (d *derivation) onlyCluster(controller *config.Controller) bool {
	return !slices.ContainsFunc(controller.For, func(kind config.Reconciled) bool {
		_, cluster := d.options.Kinds.Resource(kind.GroupVersionKind)
		return !cluster
	})
}

// related objects are read. The API server holds a watch of one object to its name, so that such are granted by name.
func (d *derivation) related(granted grants, controller *config.Controller) {
	for _, kind := range controller.RelatedKinds() {
		resource, cluster := d.options.Kinds.Resource(kind)
		found := controller.RelatedScope(kind)
		names := []string{""}
		if found.ByName() {
			names = found.Names
		}
		for _, name := range names {
			granted.add(scope(found.Namespaces, cluster), ruleKey{group(kind), resource, name}, reading...)
		}
	}
}

// sources are what modules are fetched with and from: pull secrets and ConfigMaps. Modules without a controller are not fetched.
func (d *derivation) sources(conf *config.Config) {
	host := d.of(d.options.Host)
	for _, secret := range conf.ImagePullSecrets {
		host.add([]string{secret.Namespace}, ruleKey{"", "secrets", secret.Name}, "get")
	}
	for i := range conf.Controllers {
		path, is := strings.CutPrefix(conf.Modules[conf.Controllers[i].Module].Source, "configmap://")
		if parts := strings.Split(path, "/"); is && len(parts) > 1 {
			host.add([]string{parts[0]}, ruleKey{"", "configmaps", parts[1]}, "get")
		}
	}
}

// host grants what the host needs for itself: events on its Pod and its Lease, which cannot be held to a name when it is created,
// and asking who reads its metrics.
func (d *derivation) host() {
	host, in := d.of(d.options.Host), []string{d.options.Namespace}
	host.add(in, ruleKey{"", "events", ""}, recording...)
	if d.options.Lease != "" {
		host.add(in, ruleKey{"coordination.k8s.io", "leases", ""}, "create")
		host.add(in, ruleKey{"coordination.k8s.io", "leases", d.options.Lease}, "get", "update")
	}
	if d.options.MetricsSecure {
		host.add(everywhere, ruleKey{"authentication.k8s.io", "tokenreviews", ""}, "create")
		host.add(everywhere, ruleKey{"authorization.k8s.io", "subjectaccessreviews", ""}, "create")
	}
}
