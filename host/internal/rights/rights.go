// Package rights derives from a config the RBAC rights that its controllers and the host need. The Helm chart derives the same.
package rights

import (
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// What the host does with objects.
var (
	reading   = []string{"list", "watch"}
	recording = []string{"create", "patch"}
	// verbs are all that it does with any, in the order in which rules have them.
	verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "impersonate"}
)

// Options say for which host rights are derived.
type Options struct {
	// Host is the host's own ServiceAccount.
	Host types.NamespacedName
	// Namespace is the one that the host runs in.
	Namespace string
	// Lease is the name of the Lease by which hosts elect a leader, "" if they do not.
	Lease string
	// MetricsSecure is true if the host asks the API server who may read its metrics.
	MetricsSecure bool
	// TokenAccounts are the ServiceAccounts of controllers that have a tokenFile, by their names. What is missing gets no rights.
	TokenAccounts map[string]types.NamespacedName
	// Kinds tells of kinds.
	Kinds Kinds
}

// Account is a ServiceAccount and its rights.
type Account struct {
	types.NamespacedName

	// Rules are its rights by namespace; config.AllNamespaces stands for the whole cluster.
	Rules map[string][]rbacv1.PolicyRule
}

// Derive returns the accounts that the config needs: the host's own first, then others by name. The config is one that is valid.
func Derive(conf *config.Config, options Options) []Account {
	d := &derivation{options: options, accounts: map[types.NamespacedName]grants{options.Host: {}}}
	for i := range conf.Controllers {
		d.controller(&conf.Controllers[i])
	}
	d.sources(conf)
	d.host()
	others := slices.DeleteFunc(slices.Collect(maps.Keys(d.accounts)), func(name types.NamespacedName) bool { return name == options.Host })
	slices.SortFunc(others, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	accounts := []Account{{options.Host, d.accounts[options.Host].rules()}}
	for _, name := range others {
		accounts = append(accounts, Account{name, d.accounts[name].rules()})
	}
	return accounts
}

// ruleKey is what a rule is about.
type ruleKey struct {
	group, resource, name string // of one object, or "" for all
}

// grants are verbs by namespace and by what they are for.
type grants map[string]map[ruleKey][]string

func (g grants) add(namespaces []string, key ruleKey, granted ...string) {
	for _, namespace := range namespaces {
		if g[namespace] == nil {
			g[namespace] = map[ruleKey][]string{}
		}
		g[namespace][key] = append(g[namespace][key], granted...)
	}
}

// rules returns rules, without what others have already for all objects or in all namespaces.
func (g grants) rules() map[string][]rbacv1.PolicyRule {
	rules := map[string][]rbacv1.PolicyRule{}
	for namespace := range g {
		keys := slices.SortedFunc(maps.Keys(g[namespace]), func(a, b ruleKey) int {
			return slices.Compare([]string{a.group, a.resource, a.name}, []string{b.group, b.resource, b.name})
		})
		for _, key := range keys {
			if rule, any := g.rule(namespace, key); any {
				rules[namespace] = append(rules[namespace], rule)
			}
		}
	}
	return rules
}

func (g grants) rule(namespace string, key ruleKey) (rule rbacv1.PolicyRule, any bool) {
	all := ruleKey{key.group, key.resource, ""}
	var has []string
	if namespace != config.AllNamespaces {
		has = slices.Concat(g[config.AllNamespaces][key], g[config.AllNamespaces][all])
	}
	if key.name != "" {
		has = append(has, g[namespace][all]...)
		rule.ResourceNames = []string{key.name}
	}
	rule.APIGroups, rule.Resources = []string{key.group}, []string{key.resource}
	for _, verb := range verbs {
		if slices.Contains(g[namespace][key], verb) && !slices.Contains(has, verb) {
			rule.Verbs = append(rule.Verbs, verb)
		}
	}
	return rule, len(rule.Verbs) > 0
}
