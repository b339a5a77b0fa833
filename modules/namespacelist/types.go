package main

import "github.com/wasmloop/wasmloop/sdk"

// NamespaceListing has namespaces listed in a ConfigMap of its own namespace.
type NamespaceListing struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says which namespaces are listed.
type Spec struct {
	// LabelSelector selects them by their labels. An empty one selects all.
	LabelSelector sdk.LabelSelector `json:"labelSelector,omitzero"`
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

// Namespace is the part of a Namespace that this module reads.
type Namespace struct {
	Metadata sdk.Meta `json:"metadata"`
}
