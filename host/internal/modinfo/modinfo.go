// Package modinfo is what a module says of itself: the metadata in its custom section, the file that it comes from, and the
// config entry and RBAC rules that follow from it.
package modinfo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const (
	// Section is the name of the custom section.
	Section = "wasmloop.module"
	// File is the name of the file beside a module's source that the metadata comes from.
	File = "module.yaml"
	// maxSection is the most that is read of a section, in bytes.
	maxSection = 64 << 10
	// maxText is how long a version, a description or a revision may be, in bytes.
	maxText = 1024
)

// Metadata is what a module says of itself. A host runs a module whatever it says; people and tools go by it.
type Metadata struct {
	// Name is the module's name, a DNS label.
	Name string `json:"name"`
	// Version is the module's own version, in its author's form.
	Version string `json:"version,omitempty"`
	// Description says in a sentence what the module does.
	Description string `json:"description,omitempty"`
	// ABIVersion is the version of the contract that the module was built for.
	ABIVersion int `json:"abiVersion,omitempty"`
	// Revision is the commit that the module was built from, with "-dirty" if there were other changes.
	Revision string `json:"revision,omitempty"`
	// For are the kinds that the module reconciles.
	For []Kind `json:"for,omitempty"`
	// Owns are the kinds of the children that it may want.
	Owns []Kind `json:"owns,omitempty"`
	// Related are the kinds of the related objects that it may ask for.
	Related []Kind `json:"related,omitempty"`
	// Clock is true if it needs the time.
	Clock bool `json:"clock,omitempty"`
	// Finalize is true if it has something to do before an object goes.
	Finalize bool `json:"finalize,omitempty"`
}

// Kind is a kind of objects.
type Kind struct {
	// APIVersion and Kind are as objects have them.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Resource is the kind's name in the API's paths and in RBAC rules. Empty: guessed, as kubectl's users would.
	Resource string `json:"resource,omitempty"`
	// Namespaces are those beside the reconciled object's own, "*" for all. Only Owns and Related have them.
	Namespaces []string `json:"namespaces,omitempty"`
}

// Group returns the kind's API group, "" for the core group.
func (k Kind) Group() string {
	return schema.FromAPIVersionAndKind(k.APIVersion, k.Kind).Group
}

// ResourceName returns Resource, or a guess.
func (k Kind) ResourceName() string {
	if k.Resource != "" {
		return k.Resource
	}
	return GuessResource(k.Kind)
}

var (
	hisses      = regexp.MustCompile("(s|x|z|ch|sh)$")
	consonantsY = regexp.MustCompile("[^aeiou]y$")
)

// GuessResource returns the plural that nearly all kinds have: the Helm chart guesses the same.
func GuessResource(kind string) string {
	name := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(name, "endpoints"):
		return name
	case hisses.MatchString(name):
		return name + "es"
	case consonantsY.MatchString(name):
		return strings.TrimSuffix(name, "y") + "ies"
	}
	return name + "s"
}

// Read returns the metadata of a module, nil if it has none.
func Read(wasm []byte) (*Metadata, error) {
	content, found, err := readCustom(wasm, Section)
	if err != nil || !found {
		return nil, err
	}
	if len(content) > maxSection {
		return nil, fmt.Errorf("its section %s is longer than %d KiB", Section, maxSection>>10)
	}
	m := &Metadata{}
	if err := json.Unmarshal(content, m); err != nil { // fields of later versions are passed over
		return nil, fmt.Errorf("its section %s is not valid: %w", Section, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("its section %s is not valid: %w", Section, err)
	}
	return m, nil
}

// Embed returns a module with this metadata. The same module and metadata always give the same bytes.
func Embed(wasm []byte, m *Metadata) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	content, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return writeCustom(wasm, Section, content)
}

// ReadFile reads the metadata that an author wrote, strictly. A missing file is an error that wraps fs.ErrNotExist.
func ReadFile(path string) (*Metadata, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Parse decodes the metadata that an author wrote.
func Parse(data []byte) (*Metadata, error) {
	var document map[string]any
	if err := yaml.UnmarshalStrict(data, &document); err != nil {
		return nil, err
	}
	if kind, isOne := document["for"].(map[string]any); isOne { // as in the config file
		document["for"] = []any{kind}
	}
	for _, field := range []string{"abiVersion", "revision"} {
		if _, ok := document[field]; ok {
			return nil, fmt.Errorf("%s: leave it out: wasmloop build fills it in", field)
		}
	}
	data, err := yaml.Marshal(document)
	if err != nil {
		return nil, err
	}
	m := &Metadata{}
	if err := yaml.UnmarshalStrict(data, m); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: json: "))
	}
	return m, m.validate()
}

// validate also keeps what would harm a terminal or a YAML file out: metadata may come from anywhere.
func (m *Metadata) validate() error {
	if messages := validation.IsDNS1123Label(m.Name); len(messages) > 0 {
		return fmt.Errorf("name: %q: %s", m.Name, messages[0])
	}
	for _, line := range []struct{ field, text string }{
		{"version", m.Version}, {"description", m.Description}, {"revision", m.Revision},
	} {
		if len(line.text) > maxText || strings.ContainsFunc(line.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%s: it must be one line of at most %d bytes", line.field, maxText)
		}
	}
	for _, list := range []struct {
		field string
		kinds []Kind
	}{{"for", m.For}, {"owns", m.Owns}, {"related", m.Related}} {
		for i, kind := range list.kinds {
			if err := kind.validate(list.field == "for"); err != nil {
				return fmt.Errorf("%s[%d].%w", list.field, i, err)
			}
		}
	}
	return nil
}

var (
	apiVersionForm = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$`)
	kindForm       = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	resourceForm   = regexp.MustCompile(`^[a-z][-a-z0-9]*$`)
)

func (k Kind) validate(reconciled bool) error {
	switch {
	case !apiVersionForm.MatchString(k.APIVersion):
		return fmt.Errorf("apiVersion: %q: want GROUP/VERSION, or VERSION for the core group", k.APIVersion)
	case !kindForm.MatchString(k.Kind):
		return fmt.Errorf("kind: %q: want a kind in CamelCase", k.Kind)
	case k.Resource != "" && !resourceForm.MatchString(k.Resource):
		return fmt.Errorf("resource: %q: want the plural in lower case, as in kubectl api-resources", k.Resource)
	case reconciled && len(k.Namespaces) > 0:
		return errors.New("namespaces: which objects are reconciled is for the config to say")
	}
	for i, namespace := range k.Namespaces {
		if namespace != "*" && len(validation.IsDNS1123Label(namespace)) > 0 {
			return fmt.Errorf("namespaces[%d]: %q: want the name of a namespace, or \"*\" for all", i, namespace)
		}
	}
	return nil
}
