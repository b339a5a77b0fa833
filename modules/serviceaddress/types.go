package main

import "github.com/wasmloop/wasmloop/sdk"

// Service is the part of a v1 Service that this module reads.
type Service struct {
	Spec Spec `json:"spec"`
}

// Spec is the part of a Service's spec that this module reads.
type Spec struct {
	Ports []Port `json:"ports"`
}

// Port is one port of a Service.
type Port struct {
	// Name is empty for the only port of a Service that has no name for it.
	Name string `json:"name"`
	Port int32  `json:"port"`
}

// ConfigMap is the part of the address that this module owns.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}
