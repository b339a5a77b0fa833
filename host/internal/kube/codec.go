package kube

import (
	"encoding/json"
	"errors"
	"io"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// codec decodes what an API server answers with: errors, watch events, and objects of any other kind.
type codec struct{}

var statusKind = schema.GroupVersionKind{Version: "v1", Kind: "Status"}

var errEncode = errors.New("objects are written as JSON, and not encoded here")

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (c codec) SupportedMediaTypes() []runtime.SerializerInfo {
	return []runtime.SerializerInfo{{
		MediaType: "application/json", MediaTypeType: "application", MediaTypeSubType: "json", EncodesAsText: true,
		Serializer:       c,
		StreamSerializer: &runtime.StreamSerializerInfo{EncodesAsText: true, Serializer: c, Framer: serializer.Framer},
	}}
}

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (c codec) EncoderForVersion(runtime.Encoder, runtime.GroupVersioner) runtime.Encoder { return c }

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (c codec) DecoderToVersion(runtime.Decoder, runtime.GroupVersioner) runtime.Decoder { return c }

// Encode implements runtime.Encoder.
func (codec) Encode(runtime.Object, io.Writer) error { return errEncode }

// Identifier implements runtime.Encoder.
func (codec) Identifier() runtime.Identifier { return "wasmloop" }

// Decode implements runtime.Decoder.
func (codec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, ok := into.(*metav1.WatchEvent); ok {
		return event, nil, decodeEvent(data, event)
	}
	object, err := Parse(data, orNone(defaults))
	if err != nil {
		return nil, nil, err
	}
	if object.Kind != statusKind { // a custom resource may have that name too
		return object, &object.Kind, nil
	}
	status := &metav1.Status{}
	return status, &object.Kind, json.Unmarshal(data, status)
}

func orNone(kind *schema.GroupVersionKind) schema.GroupVersionKind {
	if kind == nil {
		return schema.GroupVersionKind{}
	}
	return *kind
}

// decodeEvent splits a watch event without looking into its object.
func decodeEvent(data []byte, event *metav1.WatchEvent) error {
	return abi.Fields(data, func(name string, value json.RawMessage) (err error) {
		switch name {
		case "type":
			event.Type, err = text(value)
		case "object":
			event.Object.Raw = slices.Clone(value) // data is the next event's too
		}
		return err
	})
}
