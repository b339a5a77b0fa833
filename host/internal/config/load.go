package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Load reads, defaults and validates the config file at path. Relative module sources are resolved against its folder,
// and their files must be there. The error joins a *FaultError for each fault found.
func Load(path string) (*Config, error) { return load(path, false, true) }

// LoadUnlocked does the same, and lets sources lack the digests that the policy requires.
func LoadUnlocked(path string) (*Config, error) { return load(path, true, true) }

// LoadElsewhere reads the config of a host on another machine: the files that it names need not be on this one.
func LoadElsewhere(path string) (*Config, error) { return load(path, false, false) }

// load reads the config file at path. unlocked lets sources lack the digests that the policy requires, and files says whether those
// that it names must be there.
func load(path string, unlocked, files bool) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the config: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the config: %w", err)
	}
	config, document, err := parse(path, data, unlocked)
	if err != nil {
		return nil, err
	}
	config.resolvePaths(filepath.Dir(absolute))
	if !files {
		return config, nil
	}
	if err := document.locate(config.missingFiles()); err != nil {
		return nil, err
	}
	return config, nil
}

// Parse decodes, defaults and validates a config. name stands for the file in errors.
func Parse(name string, data []byte) (*Config, error) {
	config, _, err := parse(name, data, false)
	return config, err
}

func parse(name string, data []byte, unlocked bool) (*Config, *document, error) {
	document, err := parseYAML(data)
	if err != nil {
		fault := faultOf(err)
		fault.File = name
		return nil, nil, fault
	}
	document.name = name
	config := &Config{}
	if err := decode(document, config); err != nil {
		return nil, nil, err
	}
	config.setDefaults()
	required := config.Policy.RequireDigest
	config.Policy.RequireDigest = required && !unlocked
	if err := document.locate(config.validate()); err != nil {
		return nil, nil, err
	}
	config.Policy.RequireDigest = required
	return config, document, nil
}

// decode is strict: an unknown field is an error.
func decode(document *document, config *Config) error {
	unknown, err := kjson.UnmarshalStrict(document.json, config)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		mark := document.markBefore(int(mismatch.Offset))
		return document.fault(mark.at, "%s: want %s, got %s", cmp.Or(mark.path, "the file"), wanted(mismatch.Type), mismatch.Value)
	}
	if err != nil {
		return &FaultError{File: document.name, Message: err.Error()}
	}
	faults := make([]error, 0, len(unknown))
	for _, fault := range unknown {
		path := ""
		if field, ok := errors.AsType[kjson.FieldError](fault); ok {
			path = field.FieldPath()
		}
		faults = append(faults, document.fault(document.at(path), "%v", fault))
	}
	return errors.Join(faults...)
}

// locate joins validation faults, each with its place in the file.
func (d *document) locate(faults field.ErrorList) error {
	errs := make([]error, 0, len(faults))
	for _, fault := range faults {
		errs = append(errs, d.fault(d.at(fault.Field), "%v", fault))
	}
	return errors.Join(errs...)
}

func (d *document) fault(at position, format string, args ...any) *FaultError {
	fault := faultAt(at, format, args...)
	fault.File = d.name
	return fault
}

// wanted says in the file's terms what a type is written as.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	default:
		return "a string"
	}
}
