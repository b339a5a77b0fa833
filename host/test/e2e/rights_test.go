package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rights are those that the controllers' accounts have, but for one each, by resource.
var rights = map[string][]string{
	"families": {"list", "watch", "get", "patch"}, "families/status": {"patch"}, "configmaps": {"list", "watch", "create", "patch", "delete"},
}

// lackingRight is a controller whose account lacks one right, and how that is told.
type lackingRight struct {
	name, resource, verb string
	// settings are added to its kind, and to itself.
	kindSettings, settings string
	// reason is that of the event on its object. Empty: the controller does not run, and the event is on the account.
	reason string
}

const lackingController = `
- name: %[1]s
  module: fixture
  serviceAccount: %[2]s/%[1]s
  for: {apiVersion: test.wasmloop.dev/v1, kind: Family, namespaces: [%[2]s], labelSelector: {matchLabels: {for: %[1]s}}%[3]s}
  owns: [{apiVersion: v1, kind: ConfigMap}]
%[4]s`

// TestEachMissingRight has each controller lack another right. An event names verb and resource, and one that lacks none goes on.
func TestEachMissingRight(t *testing.T) {
	cases := []lackingRight{
		{name: "nothing"},
		{name: "list", resource: "families", verb: "list"},
		{name: "watch", resource: "families", verb: "watch"},
		{name: "list-owned", resource: "configmaps", verb: "list"},
		{name: "watch-owned", resource: "configmaps", verb: "watch"},
		{name: "create-owned", resource: "configmaps", verb: "create", reason: "ApplyFailed"},
		{name: "patch-owned", resource: "configmaps", verb: "patch", reason: "ApplyFailed"},
		{name: "delete-owned", resource: "configmaps", verb: "delete", reason: "PruneFailed"},
		{name: "status", resource: "families/status", verb: "patch", reason: "StatusFailed"},
		{name: "get", resource: "families", verb: "get", kindSettings: ", metadataOnly: true", reason: "ApplyFailed"},
		{name: "account", resource: "serviceaccounts", verb: "impersonate"},
		{name: "finalizer", resource: "families", verb: "patch", settings: "  finalize: true\n", reason: "FinalizeFailed"},
	}
	l := newLive(t)
	create(t, l.namespace, fmt.Sprintf(accountObject, "host"))
	config := strings.Replace(liveHeader, `versioned: {source: "file://module.wasm"}`, `fixture: {source: "file://`+built+`/fixture.wasm"}`, 1) + "controllers:"
	var impersonated []string
	for _, c := range cases {
		config += fmt.Sprintf(lackingController, c.name, l.namespace, c.kindSettings, c.settings)
		if c.verb != "impersonate" {
			impersonated = append(impersonated, c.name)
		}
		create(t, l.namespace, fmt.Sprintf(accountObject, c.name))
		create(t, l.namespace, c.role())
		create(t, l.namespace, fmt.Sprintf(binding, c.name))
	}
	create(t, l.namespace, fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: host}, rules: [
  {apiGroups: [""], resources: [serviceaccounts], resourceNames: [%s], verbs: [impersonate]},
  {apiGroups: [""], resources: [events], verbs: [create, patch]}]}`, strings.Join(impersonated, ", ")))
	create(t, l.namespace, fmt.Sprintf(binding, "host"))
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, config)
	runWith(t, path, []string{"--kubeconfig", kubeconfigOf(t, l.namespace, "host"), "--report-leftovers=false"}, func(*host) {
		for _, c := range cases {
			c.tell(t, l.namespace)
		}
	})
}

// role returns the Role of the controller's account.
func (c *lackingRight) role() string {
	var rules []string
	for _, resource := range []string{"families", "families/status", "configmaps"} {
		group, verbs := `""`, slices.Clone(rights[resource])
		if resource != "configmaps" {
			group = "test.wasmloop.dev"
		}
		if resource == c.resource {
			verbs = slices.DeleteFunc(verbs, func(verb string) bool { return verb == c.verb })
		}
		if len(verbs) == 0 {
			continue
		}
		rules = append(rules, fmt.Sprintf("{apiGroups: [%s], resources: [%s], verbs: [%s]}", group, resource, strings.Join(verbs, ", ")))
	}
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: %s}, rules: [%s]}", c.name, strings.Join(rules, ", "))
}

// tell has the controller do what it may not, and waits until that is told.
func (c *lackingRight) tell(t *testing.T, namespace string) {
	t.Helper()
	object := create(t, namespace, fmt.Sprintf(`{apiVersion: test.wasmloop.dev/v1, kind: Family, metadata: {name: %[1]s, labels: {for: %[1]s}}, spec: {children: [%[1]s-a]}}`, c.name))
	switch {
	case c.resource == "":
		waitFor(t, "v1", "ConfigMap", namespace, c.name+"-a", exists)
		return
	case c.verb == "impersonate": // the right is the host's
		waitForEventOn(t, namespace, "ServiceAccount", c.name, "Forbidden", "the host may not act as ServiceAccount "+namespace+"/"+c.name, `cannot impersonate resource "serviceaccounts"`)
		return
	case c.reason == "":
		resource := c.resource
		if resource == "families" {
			resource += ".test.wasmloop.dev"
		}
		waitForEventOn(t, namespace, "ServiceAccount", c.name, "Forbidden", "controller "+c.name+" does not run", c.verb+" "+resource+" in namespace "+namespace)
		return
	case c.verb == "delete":
		waitFor(t, "v1", "ConfigMap", namespace, c.name+"-a", exists)
		set(t, object, []any{c.name + "-b"}, "spec", "children")
	}
	waitForWarning(t, object, c.reason, fmt.Sprintf("cannot %s resource %q", c.verb, c.resource), "system:serviceaccount:"+namespace+":"+c.name)
}
