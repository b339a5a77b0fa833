package record

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// lastApplied is where kubectl keeps all that was applied, the data of Secrets too.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// secretKey is how a request names the kind Secret.
const secretKey = "Secret.v1"

// redact makes the contents of all Secrets in a request or a response unrecognisable, and keeps their lengths. Anything else
// stays as it is, byte for byte.
func redact(document []byte) []byte {
	return rewrite(document, func(name string, value json.RawMessage) []byte {
		switch name {
		case "object":
			return redactIfSecret(value)
		case "children", "related":
			if len(value) > 0 && value[0] == '[' {
				return redactList(value)
			}
			return rewrite(value, func(kind string, objects json.RawMessage) []byte {
				if kind != secretKey {
					return objects
				}
				return rewrite(objects, func(_ string, object json.RawMessage) []byte { return redactIfSecret(object) })
			})
		}
		return value
	})
}

// redactList redacts the children of a response.
func redactList(list []byte) []byte {
	redacted := []byte{'['}
	err := abi.Items(list, func(item json.RawMessage) error {
		if len(redacted) > 1 {
			redacted = append(redacted, ',')
		}
		redacted = append(redacted, redactIfSecret(item)...)
		return nil
	})
	if err != nil {
		return []byte(`"(no JSON)"`)
	}
	return append(redacted, ']')
}

func redactIfSecret(object []byte) []byte {
	var kind struct{ APIVersion, Kind string }
	if json.Unmarshal(object, &kind) != nil || kind.APIVersion != "v1" || kind.Kind != "Secret" {
		return object
	}
	return rewrite(object, func(name string, value json.RawMessage) []byte {
		switch name {
		case "data", "stringData":
			return rewrite(value, func(_ string, content json.RawMessage) []byte { return blank(content) })
		case "metadata":
			return rewrite(value, func(name string, value json.RawMessage) []byte {
				if name != "annotations" {
					return value
				}
				return rewrite(value, func(name string, value json.RawMessage) []byte {
					if name == lastApplied {
						return blank(value)
					}
					return value
				})
			})
		}
		return value
	})
}

// blank returns a string of the same length with nothing in it. It is base64 if the other was.
func blank(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return value
	}
	padding := len(value) - 1 - len(strings.TrimRight(string(value[:len(value)-1]), "="))
	blanked := slices.Clone(value)
	for i := 1; i < len(value)-1-padding; i++ {
		blanked[i] = 'A'
	}
	return blanked
}

// rewrite returns a JSON object with what replace makes of each field. What is no object is returned as it is.
func rewrite(object []byte, replace func(name string, value json.RawMessage) []byte) []byte {
	if len(object) == 0 || object[0] != '{' {
		return object
	}
	rewritten := []byte{'{'}
	err := abi.Fields(object, func(name string, value json.RawMessage) error {
		if len(rewritten) > 1 {
			rewritten = append(rewritten, ',')
		}
		rewritten = append(abi.AppendString(rewritten, name), ':')
		rewritten = append(rewritten, replace(name, value)...)
		return nil
	})
	if err != nil {
		return []byte(`"(no JSON)"`) // of what cannot be understood nobody knows what it contains
	}
	return append(rewritten, '}')
}
