package main

import "github.com/wasmloop/wasmloop/sdk"

// SecretPropagation has a Secret copied into namespaces. It is cluster-scoped.
type SecretPropagation struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says what to copy, and where.
type Spec struct {
	// Source is the original, whose name the copies have too.
	Source Source `json:"source"`
	// NamespaceSelector selects the namespaces by their labels. An empty one selects all.
	NamespaceSelector sdk.LabelSelector `json:"namespaceSelector"`
}

// Source names the original.
type Source struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Status says what came of it.
type Status struct {
	// Copies is how many copies there should be now.
	Copies     int             `json:"copies"`
	Conditions []sdk.Condition `json:"conditions"`
}

// Secret is the part of a Secret that is copied.
type Secret struct {
	sdk.Object
	Type string `json:"type,omitempty"`
	// Data is encoded, and needs not be decoded to be copied.
	Data map[string]string `json:"data,omitempty"`
}

// Namespace is the part of a Namespace that this module reads.
type Namespace struct {
	Metadata sdk.Meta `json:"metadata"`
}
