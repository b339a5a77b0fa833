// Package config holds the JSON Schema of the host's config file, for programs that tell of its fields.
package config

import _ "embed"

// Schema is schema.json, which is generated from the types that the config file is decoded into.
//
//go:embed schema.json
var Schema []byte
