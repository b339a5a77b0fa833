package abi

import (
	"encoding/json"
	"time"

	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// The types of an Event, as Kubernetes has them.
const (
	EventNormal  = "Normal"
	EventWarning = "Warning"
)

// Object is a Kubernetes object, decoded. Whole numbers are int64, others float64, as apimachinery has it.
type Object map[string]any

// Response is a module's answer: what should be.
type Response struct {
	// Children is the complete set of desired children. Nil: no opinion, nothing is applied and nothing pruned. Empty
	// but not nil: none should exist. Within a kind, the order here is the order of applying.
	Children []Object `json:"children,omitzero"`
	// Keep names observed children that are to stay just as they are.
	Keep []Reference `json:"keep,omitempty"`
	// Status is the object's desired status. Nil: left alone.
	Status Object `json:"status,omitzero"`
	// Labels are to be set on the object itself; nil removes. Only the keys named are touched.
	Labels map[string]*string `json:"labels,omitempty"`
	// Annotations are to be set on the object itself, as Labels are.
	Annotations map[string]*string `json:"annotations,omitempty"`
	// Related says what else the module needs to see.
	Related []Related `json:"related,omitempty"`
	// RequeueAfter asks for another call after this time. Only for controllers with a clock.
	RequeueAfter Duration `json:"requeueAfter,omitzero"`
	// Finalized lets the host's finalizer on the object go.
	Finalized bool `json:"finalized,omitempty"`
	// Events are recorded on the object.
	Events []Event `json:"events,omitempty"`
	// Error says that the module could not do its work. Nothing else of the response is used then.
	Error *Error `json:"error,omitempty"`
}

// Reference names one object. Namespace defaults to that of the reconciled object.
type Reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// Related asks for objects of one kind: by names, by label selector, or all of a namespace where both are absent.
type Related struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is where they are; "*" stands for all. Empty: that of the reconciled object.
	Namespace string `json:"namespace,omitempty"`
	// Names are the names to get. Nil: not by names. Empty but not nil: none.
	Names         []string       `json:"names,omitzero"`
	LabelSelector *LabelSelector `json:"labelSelector,omitempty"`
}

// LabelSelector selects by labels, as metav1.LabelSelector does.
type LabelSelector struct {
	MatchLabels      map[string]string          `json:"matchLabels,omitempty"`
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelectorRequirement is one condition of a LabelSelector. Operator is In, NotIn, Exists or DoesNotExist.
type LabelSelectorRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// Event is recorded on the reconciled object. Type is EventNormal or EventWarning.
type Event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
}

// Error is a failure that the module reports. A terminal one is not retried until the input changes.
type Error struct {
	Message  string `json:"message"`
	Terminal bool   `json:"terminal,omitempty"`
}

// Duration is a time.Duration that travels as Go writes it: "30s", "1h15m".
type Duration time.Duration

// MarshalJSON writes d as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// String returns d as Go writes durations.
func (d Duration) String() string { return time.Duration(d).String() }

// AppendJSON appends the encoding of o to dst. Equal objects have equal encodings: keys are sorted.
func (o Object) AppendJSON(dst []byte) ([]byte, error) { return codec.Append(dst, map[string]any(o)) }

// metadata returns the string in the metadata of o that has this name, or "".
func (o Object) metadata(name string) string {
	metadata, _ := o["metadata"].(map[string]any)
	value, _ := metadata[name].(string)
	return value
}

// Reference returns what names o.
func (o Object) Reference() Reference {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	return Reference{APIVersion: apiVersion, Kind: kind, Namespace: o.metadata("namespace"), Name: o.metadata("name")}
}

// String returns "Kind namespace/name", as messages have it.
func (r Reference) String() string { return r.Kind + " " + NameKey(r.Namespace, r.Name) }
