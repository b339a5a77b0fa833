package sdk

import (
	"fmt"
	"slices"
	"time"

	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// Types of the wire format that authors use as they are.
type (
	// Reference names one object. Namespace defaults to that of the reconciled object.
	Reference = abi.Reference
	// Related asks for objects of one kind: by names, by label selector, or all of a namespace where both are absent.
	Related = abi.Related
	// LabelSelector selects by labels, as metav1.LabelSelector does.
	LabelSelector = abi.LabelSelector
	// LabelSelectorRequirement is one condition of a LabelSelector.
	LabelSelectorRequirement = abi.LabelSelectorRequirement
	// Event is recorded on the reconciled object.
	Event = abi.Event
)

// The types of an Event.
const (
	EventNormal  = abi.EventNormal
	EventWarning = abi.EventWarning
)

// Response says what should be. The zero Response has no opinion on anything.
//
// The desired children are given with Own. Without a call of Own the module has no opinion on its children: nothing is
// applied and nothing is pruned. After a call of Own, even one without arguments, what was given is the complete set,
// and observed children that are not in it are deleted.
type Response struct {
	children []any

	// Keep names observed children that are to stay just as they are.
	Keep []Reference
	// Status is the object's desired status, a struct or map. Nil: left alone. In status.conditions the host fills in
	// lastTransitionTime.
	Status any
	// Labels are to be set on the reconciled object itself; nil removes one. Only the keys named are touched.
	// SetLabel and RemoveLabel fill the map.
	Labels map[string]*string
	// Annotations are to be set on the reconciled object itself, as Labels are.
	Annotations map[string]*string
	// Related says what else the module needs to see. Say it in every response, not only in the first.
	Related []Related
	// RequeueAfter asks for another call after this time. It needs a controller with `clock: true`.
	RequeueAfter time.Duration
	// Finalized lets the host's finalizer on the object go. It means something only when the request is finalizing.
	Finalized bool
	// Events are recorded on the object. Eventf adds one.
	Events []Event
}

// Own adds desired children, and so makes the response's set of children complete: what is never given to Own should
// not exist. Own() alone says that no child should exist.
//
// A child is a struct (or a pointer to one, or a map) that encodes to a Kubernetes object with the fields that the
// module wants to own: apiVersion, kind, metadata.name and the rest of its desired state. Within a kind the order is
// the order of applying.
func (r *Response) Own(children ...any) *Response {
	if r.children == nil {
		r.children = []any{}
	}
	r.children = append(r.children, children...)
	return r
}

// Children returns the desired children: nil when the response has no opinion on them, and not nil, though it may be
// empty, when they are the complete set.
func (r *Response) Children() []any { return slices.Clone(r.children) }

// SetLabel sets a label on the reconciled object.
func (r *Response) SetLabel(key, value string) *Response {
	put(&r.Labels, key, &value)
	return r
}

// RemoveLabel removes a label from the reconciled object.
func (r *Response) RemoveLabel(key string) *Response {
	put(&r.Labels, key, nil)
	return r
}

// SetAnnotation sets an annotation on the reconciled object.
func (r *Response) SetAnnotation(key, value string) *Response {
	put(&r.Annotations, key, &value)
	return r
}

// RemoveAnnotation removes an annotation from the reconciled object.
func (r *Response) RemoveAnnotation(key string) *Response {
	put(&r.Annotations, key, nil)
	return r
}

func put(values *map[string]*string, key string, value *string) {
	if *values == nil {
		*values = make(map[string]*string)
	}
	(*values)[key] = value
}

// Eventf adds an event. eventType is EventNormal or EventWarning, reason a word in CamelCase.
func (r *Response) Eventf(eventType, reason, format string, args ...any) *Response {
	r.Events = append(r.Events, Event{Type: eventType, Reason: reason, Message: fmt.Sprintf(format, args...)})
	return r
}

// wireResponse is abi.Response with children and a status that are not yet encoded.
type wireResponse struct {
	Children     []any              `json:"children,omitzero"`
	Keep         []Reference        `json:"keep,omitempty"`
	Status       any                `json:"status,omitzero"`
	Labels       map[string]*string `json:"labels,omitempty"`
	Annotations  map[string]*string `json:"annotations,omitempty"`
	Related      []Related          `json:"related,omitempty"`
	RequeueAfter abi.Duration       `json:"requeueAfter,omitzero"`
	Finalized    bool               `json:"finalized,omitempty"`
	Events       []Event            `json:"events,omitempty"`
}

// initialSize is the space that a response is given at first, in bytes.
const initialSize = 4096

// encode writes the response as JSON. It is deterministic: struct fields in their order, map keys sorted.
func (r *Response) encode() ([]byte, error) {
	if r == nil {
		r = &Response{}
	}
	encoded, err := codec.Append(make([]byte, 0, initialSize), wireResponse{
		Children: r.children, Keep: r.Keep, Status: r.Status, Labels: r.Labels, Annotations: r.Annotations,
		Related: r.Related, RequeueAfter: abi.Duration(r.RequeueAfter), Finalized: r.Finalized, Events: r.Events,
	})
	if err != nil {
		return nil, Terminalf("cannot encode the response: %w", err)
	}
	return encoded, nil
}
