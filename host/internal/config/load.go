package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Load reads, defaults and validates the config file at path. Relative module sources are resolved against its folder.
// The error joins all faults found, each with file, line and column.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the config: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the config: %w", err)
	}
	config, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	config.resolveSources(filepath.Dir(absolute))
	return config, nil
}

// Parse decodes, defaults and validates a config. name stands for the file in errors.
func Parse(name string, data []byte) (*Config, error) {
	document, err := parseYAML(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	config := &Config{}
	if err := decode(name, document, config); err != nil {
		return nil, err
	}
	config.setDefaults()
	if faults := config.validate(); len(faults) > 0 {
		return nil, locate(name, document, faults)
	}
	return config, nil
}

// decode is strict: an unknown field is an error.
func decode(name string, document *document, config *Config) error {
	unknown, err := kjson.UnmarshalStrict(document.json, config)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		at := document.atOffset(int(mismatch.Offset))
		return fmt.Errorf("%s:%d:%d: %s: want %s, got %s", name, at.line, at.column, mismatch.Field, wanted(mismatch), mismatch.Value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	faults := make([]error, 0, len(unknown))
	for _, fault := range unknown {
		path := ""
		if field, ok := fault.(kjson.FieldError); ok {
			path = field.FieldPath()
		}
		at := document.at(path)
		faults = append(faults, fmt.Errorf("%s:%d:%d: %w", name, at.line, at.column, fault))
	}
	return errors.Join(faults...)
}

// locate joins validation faults, each with its place in the file.
func locate(name string, document *document, faults field.ErrorList) error {
	errs := make([]error, 0, len(faults))
	for _, fault := range faults {
		at := document.at(fault.Field)
		errs = append(errs, fmt.Errorf("%s:%d:%d: %w", name, at.line, at.column, fault))
	}
	return errors.Join(errs...)
}

// resolveSources makes relative file:// paths absolute.
func (c *Config) resolveSources(folder string) {
	for name, module := range c.Modules {
		path, isFile := strings.CutPrefix(module.Source, fileScheme)
		if isFile && !filepath.IsAbs(path) {
			module.Source = fileScheme + filepath.Join(folder, path)
			c.Modules[name] = module
		}
	}
}

// wanted says in the file's terms what type a field has.
func wanted(mismatch *json.UnmarshalTypeError) string {
	switch mismatch.Type.Kind().String() {
	case "struct", "map":
		return "an object"
	case "slice":
		return "a list"
	case "int", "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	default:
		return "a string"
	}
}
