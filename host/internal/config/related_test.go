package config

import (
	"errors"
	"strings"
	"testing"
)

// TestRelatedFaults has selectors and related rules that nothing could be meant by. The fault names the path to it.
func TestRelatedFaults(t *testing.T) {
	tests := map[string]struct {
		reason string
		entry  string
		path   string
	}{
		"an operator that is none": {
			"it selects by nothing that is known",
			`for: {apiVersion: v1, kind: Pod, labelSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}}`,
			"controllers[0].for[0].labelSelector",
		},
		"values without need": {
			"they would be passed over",
			`for: {apiVersion: v1, kind: Pod, annotationSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}`,
			"controllers[0].for[0].annotationSelector",
		},
		"a label that can be none": {
			"it would select no namespace",
			`for: {apiVersion: v1, kind: Pod, namespaceSelector: {matchLabels: {"a b": c}}}`,
			"controllers[0].for[0].namespaceSelector",
		},
		"a field selector that is none": {
			"there is nothing that it compares with",
			`for: {apiVersion: v1, kind: Pod, fieldSelector: spec.nodeName}`,
			"controllers[0].for[0].fieldSelector",
		},
		"a namespace that can be none": {
			"no object is in it",
			`for: {apiVersion: v1, kind: Pod, namespaces: [a_b]}`,
			"controllers[0].for[0].namespaces",
		},
		"names and labels": {
			"it is not clear whether both are to hold, or one",
			`for: {apiVersion: v1, kind: Pod}, related: {rules: [{apiVersion: v1, kind: Secret, names: [a], labelSelector: {}}]}`,
			"controllers[0].related.rules[0].labelSelector",
		},
		"names in all namespaces": {
			"there is no telling in how many",
			`for: {apiVersion: v1, kind: Pod}, related: {rules: [{apiVersion: v1, kind: Secret, namespace: "*", names: [a]}]}`,
			"controllers[0].related.rules[0].names",
		},
		"a rule for a kind that is none": {
			"it could never be watched",
			`for: {apiVersion: v1, kind: Pod}, related: {rules: [{apiVersion: v1}]}`,
			"controllers[0].related.rules[0].kind",
		},
		"a rule's selector": {
			"it selects by nothing that is known",
			`for: {apiVersion: v1, kind: Pod}, related: {rules: [{apiVersion: v1, kind: Secret, labelSelector: {matchExpressions: [{key: a, operator: In}]}}]}`,
			"controllers[0].related.rules[0].labelSelector",
		},
		"an allowed kind that is none": {
			"nobody could ask for it",
			`for: {apiVersion: v1, kind: Pod}, related: {allow: [{kind: Secret}]}`,
			"controllers[0].related.allow[0].apiVersion",
		},
		"an allowed namespace that can be none": {
			"nothing is in it",
			`for: {apiVersion: v1, kind: Pod}, related: {allow: [{apiVersion: v1, kind: Secret, namespaces: [a*]}]}`,
			"controllers[0].related.allow[0].namespaces",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("config.yaml", []byte(header+"controllers:\n- {name: c, module: m, "+tt.entry+"}\n"))
			fault, ok := errors.AsType[*FaultError](err)
			if !ok || !strings.HasPrefix(fault.Message, tt.path+":") {
				t.Errorf("%s: got the error %v, want one at %s", tt.reason, err, tt.path)
			}
		})
	}
}
