package main

import "github.com/wasmloop/wasmloop/sdk"

// GlobalConfigMap has a ConfigMap copied into all namespaces. It is cluster-scoped.
type GlobalConfigMap struct {
	sdk.Object
	Spec Spec `json:"spec"`
}

// Spec says what to copy.
type Spec struct {
	// Source is the original, whose name the copies have too.
	Source Source `json:"source"`
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
