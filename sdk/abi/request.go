package abi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Request is all that a module may know in one reconcile. Objects are kept as the JSON that they travel as, so that
// the host can hand out what it holds and a module decodes just what it looks at.
type Request struct {
	// Controller is the controller's name in the host's config.
	Controller string `json:"controller"`
	// Object is the reconciled object, without managedFields and resourceVersion, as all objects here.
	Object json.RawMessage `json:"object"`
	// Children are the observed children that are this object's. Every declared kind is present, though it may be empty.
	Children Objects `json:"children"`
	// Related are the objects that the config or the module's last response asked for.
	Related Objects `json:"related"`
	// Finalizing is true when the controller asked for finalize calls, and Object is being deleted or not selected any more.
	Finalizing bool `json:"finalizing"`
	// Settings are the controller's settings from the config: a JSON object, {} when there are none.
	Settings json.RawMessage `json:"settings"`
	// Now is the time in RFC 3339, for controllers with a clock. Empty for all others. It is not part of the
	// request's identity.
	Now string `json:"now,omitempty"`
}

// Objects are JSON objects by kind (see KindKey), then by name (see NameKey).
type Objects map[string]map[string]json.RawMessage

// KindKey is the key of a kind in Objects: "ConfigMap.v1", "Deployment.apps/v1".
func KindKey(apiVersion, kind string) string { return kind + "." + apiVersion }

// NameKey is the key of an object within its kind: "namespace/name", or the name alone if it is cluster-scoped.
func NameKey(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// AppendJSON appends the request's encoding to dst. Equal requests have equal encodings: keys are sorted, and the
// objects' bytes are copied as they are.
func (r *Request) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"controller":`...)
	dst = AppendString(dst, r.Controller)
	dst = append(dst, `,"object":`...)
	dst = append(dst, r.Object...)
	dst = append(dst, `,"children":`...)
	dst = r.Children.appendJSON(dst)
	dst = append(dst, `,"related":`...)
	dst = r.Related.appendJSON(dst)
	dst = append(dst, `,"finalizing":`...)
	dst = strconv.AppendBool(dst, r.Finalizing)
	dst = append(dst, `,"settings":`...)
	if len(r.Settings) == 0 {
		dst = append(dst, "{}"...)
	} else {
		dst = append(dst, r.Settings...)
	}
	if r.Now != "" {
		dst = append(dst, `,"now":`...)
		dst = AppendString(dst, r.Now)
	}
	return append(dst, '}')
}

func (o Objects) appendJSON(dst []byte) []byte {
	return appendMap(dst, o, func(dst []byte, byName map[string]json.RawMessage) []byte {
		return appendMap(dst, byName, func(dst []byte, object json.RawMessage) []byte {
			return append(dst, object...)
		})
	})
}

func appendMap[V any](dst []byte, m map[string]V, appendValue func([]byte, V) []byte) []byte {
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, key), ':')
		dst = appendValue(dst, m[key])
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string. Names in a cluster need no escapes, so the general way is rarely taken.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) //nolint:errchkjson // a string always has an encoding
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// DecodeRequest decodes a request. The objects in it are not looked into before they are decoded themselves. Fields that this
// version does not know are passed over.
func DecodeRequest(data []byte) (*Request, error) {
	request := &Request{}
	err := Fields(data, func(name string, value json.RawMessage) (err error) {
		switch name {
		case "controller":
			err = json.Unmarshal(value, &request.Controller)
		case "object":
			request.Object = value
		case "children":
			request.Children, err = decodeObjects(value)
		case "related":
			request.Related, err = decodeObjects(value)
		case "finalizing":
			err = json.Unmarshal(value, &request.Finalizing)
		case "settings":
			request.Settings = value
		case "now":
			err = json.Unmarshal(value, &request.Now)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot decode the request: %w", err)
	}
	return request, nil
}

func decodeObjects(encoded json.RawMessage) (Objects, error) {
	objects := Objects{}
	err := Fields(encoded, func(kind string, value json.RawMessage) (err error) {
		objects[kind], err = byName(value)
		return err
	})
	return objects, err
}

func byName(encoded json.RawMessage) (map[string]json.RawMessage, error) {
	objects := map[string]json.RawMessage{}
	err := Fields(encoded, func(name string, object json.RawMessage) error {
		objects[name] = object
		return nil
	})
	return objects, err
}
