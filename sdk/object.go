package sdk

import "time"

// Object is what every Kubernetes object has, for typed structs to embed:
//
//	type ConfigMap struct {
//		sdk.Object
//		Data map[string]string `json:"data,omitempty"`
//	}
//
// Its metadata is just what a module may own, so that an object that was read can be returned as a child.
type Object struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   ObjectMeta `json:"metadata"`
}

// ObjectMeta is the part of an object's metadata that a module may own. An empty namespace is that of the reconciled
// object.
type ObjectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// NewObject returns an Object for a child in the namespace of the reconciled object.
func NewObject(apiVersion, kind, name string) Object {
	return Object{APIVersion: apiVersion, Kind: kind, Metadata: ObjectMeta{Name: name}}
}

// WithLabels returns o with these labels besides those that it has.
func (o Object) WithLabels(labels map[string]string) Object {
	o.Metadata.Labels = MergeLabels(o.Metadata.Labels, labels)
	return o
}

// Meta is what identifies an object, and the metadata that a module may read but not own. managedFields and
// resourceVersion are never part of a request. A struct for an object that is only read has it as its
// Metadata, with the tag `json:"metadata"`.
type Meta struct {
	// APIVersion and Kind are those of the reconciled object. They are empty elsewhere.
	APIVersion string `json:"-"`
	Kind       string `json:"-"`
	Name       string `json:"name"`
	// Namespace is empty if the object is cluster-scoped.
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	// Generation is counted up by the API server with each change of the spec.
	Generation        int64     `json:"generation"`
	CreationTimestamp time.Time `json:"creationTimestamp"`
	// DeletionTimestamp is nil unless the object is being deleted.
	DeletionTimestamp *time.Time       `json:"deletionTimestamp"`
	Finalizers        []string         `json:"finalizers"`
	OwnerReferences   []OwnerReference `json:"ownerReferences"`
}

// OwnerReference is an entry of an object's metadata.ownerReferences.
type OwnerReference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}
