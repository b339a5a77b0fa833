package main

import "github.com/wasmloop/wasmloop/sdk"

// CustomResourceDefinition is the part of a CustomResourceDefinition that this module reads.
type CustomResourceDefinition struct {
	Spec Spec `json:"spec"`
}

// Spec is the part of its spec that this module reads.
type Spec struct {
	Group string `json:"group"`
	Names struct {
		Plural string `json:"plural"`
	} `json:"names"`
}

// ClusterRole is the part of a ClusterRole that this module owns.
type ClusterRole struct {
	sdk.Object
	Rules []Rule `json:"rules"`
}

// Rule is one rule of a ClusterRole.
type Rule struct {
	APIGroups []string `json:"apiGroups"`
	Resources []string `json:"resources"`
	Verbs     []string `json:"verbs"`
}
