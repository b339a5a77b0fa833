package main

import "github.com/wasmloop/wasmloop/sdk"

// ConfigMapListing has ConfigMaps listed in a ConfigMap of its own namespace.
type ConfigMapListing struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says which ConfigMaps are listed.
type Spec struct {
	// SourceNamespace is where they are. Empty: anywhere.
	SourceNamespace string `json:"sourceNamespace,omitempty"`
	// SourceLabels are what they must have.
	SourceLabels map[string]string `json:"sourceLabels"`
}

// Status says what came of it.
type Status struct {
	// Count is how many are listed.
	Count      int             `json:"count"`
	Conditions []sdk.Condition `json:"conditions"`
}

// ConfigMap is the part of the list that this module owns.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

// Listed is the part of a listed ConfigMap that this module reads.
type Listed struct {
	Metadata sdk.Meta `json:"metadata"`
}
