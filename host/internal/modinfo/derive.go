package modinfo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// What the host does with objects.
var (
	// reading is done by watching.
	reading = []string{"list", "watch"}
	// reconciling patches an object's labels, annotations and finalizers.
	reconciling = []string{"list", "watch", "patch"}
	// owning is all that server-side apply and pruning need.
	owning = []string{"list", "watch", "create", "patch", "delete"}
	// telling is what a status needs.
	telling = []string{"patch"}
	// recording is what events need.
	recording = []string{"create", "patch"}
)

// Rule is an RBAC rule, and why the host needs it.
type Rule struct {
	rbacv1.PolicyRule
	// Reason says what it is for.
	Reason string `json:"-"`
}

// Rules returns what a host must be allowed to run the module as Config has it.
func (m *Metadata) Rules() []Rule {
	var rules []Rule
	add := func(reason, group string, resources, verbs []string) {
		rules = append(rules, Rule{rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}, reason})
	}
	for _, kind := range m.For {
		resource := kind.ResourceName()
		add("reconciled; patch is for labels, annotations and finalizers", kind.Group(), []string{resource}, reconciling)
		add("its status", kind.Group(), []string{resource + "/status"}, telling)
	}
	for _, kind := range m.Owns {
		add("owned", kind.Group(), []string{kind.ResourceName()}, owning)
	}
	for _, kind := range m.Related {
		add("related", kind.Group(), []string{kind.ResourceName()}, reading)
	}
	add("events on what is reconciled", "", []string{"events"}, recording)
	return rules
}

// ClusterRole returns Rules as YAML that kubectl applies.
func (m *Metadata) ClusterRole() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: wasmloop-%s\nrules:\n", m.Name)
	for _, rule := range m.Rules() {
		fmt.Fprintf(&b, "  - apiGroups: %s # %s\n    resources: %s\n    verbs: %s\n", flow(rule.APIGroups), rule.Reason, flow(rule.Resources), flow(rule.Verbs))
	}
	return b.String()
}

// Config returns the entries of the module and of its controller in a host's config file, as YAML. The module must say what
// it reconciles. source is the module's
// source URL; memory is what limits.memory has to be, "" for the default.
func (m *Metadata) Config(source, memory string) string {
	var b strings.Builder
	name := scalar(m.Name)
	fmt.Fprintf(&b, "modules:\n  %s:\n    source: %s\n", name, scalar(source))
	if memory != "" {
		fmt.Fprintf(&b, "    limits: {memory: %s}\n", memory)
	}
	fmt.Fprintf(&b, "controllers:\n  - name: %s\n    module: %s\n", name, name)
	if len(m.For) == 1 {
		fmt.Fprintf(&b, "    for: %s\n", entry(m.For[0]))
	} else {
		list(&b, "    for:", m.For)
	}
	list(&b, "    owns:", m.Owns)
	if len(m.Related) > 0 {
		b.WriteString("    related:\n")
		list(&b, "      allow:", m.Related)
	}
	if m.Clock {
		b.WriteString("    clock: true\n")
	}
	if m.Finalize {
		b.WriteString("    finalize: true\n")
	}
	return b.String()
}

// list writes a field with kinds, if there are any.
func list(b *strings.Builder, field string, kinds []Kind) {
	if len(kinds) == 0 {
		return
	}
	indent := strings.Repeat(" ", len(field)-len(strings.TrimLeft(field, " ")))
	b.WriteString(field + "\n")
	for _, kind := range kinds {
		fmt.Fprintf(b, "%s  - %s\n", indent, entry(kind))
	}
}

// entry writes a kind as the config file has it.
func entry(k Kind) string {
	namespaces := ""
	if len(k.Namespaces) > 0 {
		namespaces = ", namespaces: " + flow(k.Namespaces)
	}
	return fmt.Sprintf("{apiVersion: %s, kind: %s%s}", scalar(k.APIVersion), scalar(k.Kind), namespaces)
}

// flow writes a list in one line.
func flow(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = scalar(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plain are strings that YAML, of whatever version, takes for nothing else.
var plain = regexp.MustCompile(`^[A-Za-z]([-A-Za-z0-9./:@_]*[A-Za-z0-9])?$`)

// scalar writes a string in quotes where YAML would take it for something else.
func scalar(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return strconv.Quote(text)
	}
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
