package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// Request is all that a module may know in one reconcile. Its Meta is the reconciled object's, so req.Name and
// req.Namespace are the object's.
type Request[T any] struct {
	Meta
	// Object is the reconciled object.
	Object T
	// Controller is the controller's name in the host's config.
	Controller string
	// Finalizing is true when the controller asked for finalize calls, and the object is being deleted or is not selected by
	// the controller's config any more. The module then cleans up, and lets the finalizer go with Response.Finalized.
	Finalizing bool
	// Now is the time of the call, for controllers with `clock: true`. It is zero for all others.
	Now time.Time

	wire wireRequest
}

// wireRequest is abi.Request with objects that are not yet decoded.
type wireRequest struct {
	Controller string      `json:"controller"`
	Object     codec.Part  `json:"object"`
	Children   wireObjects `json:"children"`
	Related    wireObjects `json:"related"`
	Finalizing bool        `json:"finalizing"`
	Settings   codec.Part  `json:"settings"`
	Now        string      `json:"now"`
}

// wireObjects are abi.Objects.
type wireObjects map[string]codec.Parts

func decodeRequest[T any](data []byte) (*Request[T], error) {
	wire, err := codec.Decode[wireRequest](codec.Text(data))
	if err != nil {
		return nil, fmt.Errorf("cannot decode the request: %w", err)
	}
	req := &Request[T]{Controller: wire.Controller, Finalizing: wire.Finalizing, wire: wire}
	if req.Meta, err = decodeMeta(wire.Object); err != nil {
		return nil, err
	}
	if req.Object, err = decode[T](wire.Object, req.Kind, req.Namespace, req.Name); err != nil {
		return nil, err
	}
	if wire.Now == "" {
		return req, nil
	}
	if req.Now, err = time.Parse(time.RFC3339Nano, wire.Now); err != nil {
		return nil, fmt.Errorf("cannot decode the request's time: %w", err)
	}
	return req, nil
}

// decodeMeta decodes the little of an object that is the same in all kinds. Other fields may have names that differ from those
// only in case.
func decodeMeta(data codec.Part) (meta Meta, err error) {
	object, err := codec.Decode[codec.Parts](data)
	if metadata, found := object.Get("metadata"); found && err == nil {
		meta, err = codec.Decode[Meta](metadata)
	}
	if err == nil {
		meta.APIVersion, err = decodeString(object, "apiVersion")
	}
	if err == nil {
		meta.Kind, err = decodeString(object, "kind")
	}
	if err != nil {
		return Meta{}, Terminalf("cannot decode the object's metadata: %w", err)
	}
	return meta, nil
}

// decodeString decodes a field that is a string, if it is there.
func decodeString(object codec.Parts, name string) (string, error) {
	data, found := object.Get(name)
	if !found {
		return "", nil
	}
	return codec.Decode[string](data)
}

// decode decodes an object. Its error is terminal: the same bytes will not fit the type the next time either.
func decode[T any](data codec.Part, kind, namespace, name string) (object T, err error) {
	if object, err = codec.Decode[T](data); err != nil {
		return object, Terminalf("cannot decode %s %s: %w", kind, abi.NameKey(namespace, name), err)
	}
	return object, nil
}

// DecodeSettings decodes the controller's settings from the config into a pointer to a struct or map. What the settings
// leave out stays as it is, so defaults are set before the call. A setting that into does not have is an error: it is
// most likely a spelling mistake.
func (r *Request[T]) DecodeSettings(into any) error {
	if len(r.wire.Settings) == 0 {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(r.wire.Settings)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && err != io.EOF {
		return Terminalf("cannot decode the settings of controller %s: %w", r.Controller, err)
	}
	return nil
}

// Child returns the observed child of this kind and name, decoded as a C, and whether there is one; without one it is a
// zero C. C is map[string]any or a struct with the fields that the module looks at. The name is one in the reconciled
// object's namespace, or that of a cluster-scoped child; write "namespace/name" for a child elsewhere.
//
// A kind that the controller's config does not list under owns is an error, since its children cannot be seen.
func Child[C, T any](req *Request[T], apiVersion, kind, name string) (C, bool, error) {
	objects, err := req.ownedKind(apiVersion, kind)
	if err != nil {
		return *new(C), false, err
	}
	return find[C](objects, kind, req.Namespace, name)
}

// Children returns all observed children of this kind, decoded as Cs, in the order of their namespaces and names.
func Children[C, T any](req *Request[T], apiVersion, kind string) ([]C, error) {
	objects, err := req.ownedKind(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	return all[C](objects, kind)
}

// RelatedObject returns a related object as Child returns a child. Until the host has seen the response that asks for
// it, it is not there: the host calls the module again with it before anything is applied.
func RelatedObject[C, T any](req *Request[T], apiVersion, kind, name string) (C, bool, error) {
	return find[C](req.wire.Related[abi.KindKey(apiVersion, kind)], kind, req.Namespace, name)
}

// RelatedObjects returns all related objects of this kind, as Children returns children.
func RelatedObjects[C, T any](req *Request[T], apiVersion, kind string) ([]C, error) {
	return all[C](req.wire.Related[abi.KindKey(apiVersion, kind)], kind)
}

func (r *Request[T]) ownedKind(apiVersion, kind string) (codec.Parts, error) {
	key := abi.KindKey(apiVersion, kind)
	objects, ok := r.wire.Children[key]
	if !ok {
		return nil, Terminalf("children of kind %s are not in the request: list the kind under owns in the config of controller %s",
			key, r.Controller)
	}
	return objects, nil
}

// find looks for a name as the namespace's first and then as it is, which is how a cluster-scoped object or one of
// another namespace is named. A kind has one scope, so the two never meet.
func find[C any](objects codec.Parts, kind, namespace, name string) (object C, found bool, err error) {
	data, found := objects.Get(abi.NameKey(namespace, name))
	if !found {
		namespace = ""
		data, found = objects.Get(name)
	}
	if !found {
		return object, false, nil
	}
	object, err = decode[C](data, kind, namespace, name)
	return object, err == nil, err
}

func all[C any](objects codec.Parts, kind string) ([]C, error) {
	list := make([]C, 0, len(objects))
	for _, each := range slices.SortedFunc(slices.Values(objects), compareKeys) {
		object, err := decode[C](each.Part, kind, "", each.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, object)
	}
	return list, nil
}

// compareKeys orders by namespace, then by name. The keys' own order differs where one namespace begins with another.
func compareKeys(a, b codec.NamedPart) int {
	namespaceA, nameA, _ := strings.Cut(a.Name, "/")
	namespaceB, nameB, _ := strings.Cut(b.Name, "/")
	if c := strings.Compare(namespaceA, namespaceB); c != 0 {
		return c
	}
	return strings.Compare(nameA, nameB)
}
