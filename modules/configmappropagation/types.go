package main

import "github.com/wasmloop/wasmloop/sdk"

// ConfigMapPropagation has a ConfigMap of its namespace copied into others.
type ConfigMapPropagation struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says what to copy, and where.
type Spec struct {
	// Source is the name of the original, which the copies have too.
	Source string `json:"source"`
	// TargetNamespaces are where the copies are to be.
	TargetNamespaces []string `json:"targetNamespaces"`
}

// Status says what came of it.
type Status struct {
	// Copies is how many copies there should be now.
	Copies     int             `json:"copies"`
	Conditions []sdk.Condition `json:"conditions"`
}

// ConfigMap is the part of a ConfigMap that is copied.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data,omitempty"`
	// BinaryData is encoded, and needs not be decoded to be copied.
	BinaryData map[string]string `json:"binaryData,omitempty"`
}

// Namespace is the part of a Namespace that this module reads.
type Namespace struct {
	Metadata sdk.Meta `json:"metadata"`
}
