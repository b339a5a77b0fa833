package main

import "github.com/wasmloop/wasmloop/sdk"

// ClusterRole is a ClusterRole, of which this module reads just the metadata.
type ClusterRole struct{}

// Namespace is the part of a Namespace that this module reads.
type Namespace struct {
	Metadata sdk.Meta `json:"metadata"`
}

// RoleBinding is the part of a RoleBinding that this module owns.
type RoleBinding struct {
	sdk.Object
	RoleRef  RoleRef   `json:"roleRef"`
	Subjects []Subject `json:"subjects"`
}

// RoleRef names the role that is given. It cannot be changed.
type RoleRef struct {
	APIGroup string `json:"apiGroup"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

// Subject is to whom it is given.
type Subject struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}
