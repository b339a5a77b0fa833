package apiserver

import (
	"math"
	"reflect"
	"regexp"
	"unicode/utf8"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
)

// shape is what of a schema can be checked in passing, which for most schemas is all of it. Kubernetes' validator makes a tree of
// validators for each object, so that it is only asked where an object does not obviously fit. A test holds the two against each
// other.
type shape struct {
	// unsure: the schema says what a shape does not know. anything: it says nothing.
	unsure, anything bool
	kind             string
	nullable         bool
	required         []string
	properties       map[string]*shape
	rest             *shape // of properties that are not named; nil: they may be anything
	items            *shape // nil: they may be anything
	enum             map[string]bool
	minimum, maximum float64
	least, most      int64 // letters, items, or properties
	pattern          *regexp.Regexp
	format           string
}

// shapeOf returns the shape of a schema.
func shapeOf(s *spec.Schema) *shape {
	_, intOrString := s.Extensions["x-kubernetes-int-or-string"]
	switch {
	case intOrString, len(s.Type) > 1, s.Ref.String() != "", s.MultipleOf != nil, s.UniqueItems, s.ExclusiveMinimum, s.ExclusiveMaximum,
		len(s.AllOf)+len(s.AnyOf)+len(s.OneOf)+len(s.PatternProperties)+len(s.Dependencies) > 0, s.Not != nil, s.AdditionalItems != nil:
		return &shape{unsure: true}
	}
	made := &shape{nullable: s.Nullable, required: s.Required, format: s.Format}
	if len(s.Type) == 1 {
		made.kind = s.Type[0]
	}
	fits := made.takeBounds(s) && made.takeEnum(s.Enum) && made.takePattern(s.Pattern) && made.takeMembers(s)
	if !fits {
		return &shape{unsure: true}
	}
	if made.kind == "" {
		bare := *s
		bare.Description, bare.Nullable, bare.VendorExtensible = "", false, spec.VendorExtensible{}
		made.anything = reflect.DeepEqual(bare, spec.Schema{})
		made.unsure = !made.anything
	}
	return made
}

// takeBounds takes the bounds that values of the schema's type have, and returns false if there are others.
func (m *shape) takeBounds(s *spec.Schema) bool {
	m.minimum, m.maximum, m.most = math.Inf(-1), math.Inf(1), math.MaxInt64
	const exact = 1 << 31 // beyond, a format or a conversion may make another number of it
	for bound, to := range map[*float64]*float64{s.Minimum: &m.minimum, s.Maximum: &m.maximum} {
		if bound == nil {
			continue
		}
		if math.Abs(*bound) >= exact || m.kind == "integer" && *bound != math.Trunc(*bound) {
			return false
		}
		*to = *bound
	}
	for kind, bounds := range map[string][2]*int64{
		"string": {s.MinLength, s.MaxLength}, "array": {s.MinItems, s.MaxItems}, "object": {s.MinProperties, s.MaxProperties},
	} {
		least, most := bounds[0], bounds[1]
		if kind != m.kind && (least != nil || most != nil) {
			return false
		}
		if least != nil {
			m.least = *least
		}
		if most != nil {
			m.most = *most
		}
	}
	return true
}

func (m *shape) takeEnum(values []any) bool {
	if len(values) == 0 {
		return true
	}
	m.enum = map[string]bool{}
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return false
		}
		m.enum[text] = true
	}
	return m.kind == "string"
}

func (m *shape) takePattern(pattern string) bool {
	if pattern == "" {
		return true
	}
	compiled, err := regexp.Compile(pattern)
	m.pattern = compiled
	return err == nil && m.kind == "string"
}

func (m *shape) takeMembers(s *spec.Schema) bool {
	if len(s.Properties) > 0 {
		m.properties = make(map[string]*shape, len(s.Properties))
	}
	for name := range s.Properties {
		property := s.Properties[name]
		m.properties[name] = shapeOf(&property)
	}
	if others := s.AdditionalProperties; others != nil {
		if others.Schema != nil {
			m.rest = shapeOf(others.Schema)
		} else if !others.Allows {
			return false
		}
	}
	if s.Items != nil {
		if s.Items.Schema == nil {
			return false
		}
		m.items = shapeOf(s.Items.Schema)
	}
	return true
}

// fits says whether a value is valid beyond doubt.
func (m *shape) fits(value any) bool {
	if m == nil || m.anything {
		return true
	}
	if m.unsure {
		return false
	}
	switch v := value.(type) {
	case nil:
		return m.nullable && m.enum == nil
	case bool:
		return m.kind == "boolean"
	case string:
		return m.kind == "string" && m.fitsText(v)
	case int64:
		return (m.kind == "integer" || m.kind == "number") && m.fitsNumber(v)
	case map[string]any:
		return m.kind == "object" && m.fitsObject(v)
	case []any:
		return m.kind == "array" && m.fitsList(v)
	default:
		return false
	}
}

func (m *shape) fitsText(text string) bool {
	if length := int64(utf8.RuneCountInString(text)); length < m.least || length > m.most {
		return false
	}
	if m.enum != nil && !m.enum[text] || m.pattern != nil && !m.pattern.MatchString(text) {
		return false
	}
	return m.format == "" || !strfmt.Default.ContainsName(m.format) || strfmt.Default.Validates(m.format, text)
}

// fitsNumber says so of whole numbers that no format and no rounding makes another one of.
func (m *shape) fitsNumber(whole int64) bool {
	const bound = 1 << 31
	return whole > -bound && whole < bound && float64(whole) >= m.minimum && float64(whole) <= m.maximum
}

func (m *shape) fitsObject(object map[string]any) bool {
	if size := int64(len(object)); size < m.least || size > m.most {
		return false
	}
	for _, name := range m.required {
		if _, there := object[name]; !there {
			return false
		}
	}
	for name, value := range object {
		property, named := m.properties[name]
		if !named {
			property = m.rest
		}
		if !property.fits(value) {
			return false
		}
	}
	return true
}

func (m *shape) fitsList(list []any) bool {
	if size := int64(len(list)); size < m.least || size > m.most {
		return false
	}
	for _, item := range list {
		if !m.items.fits(item) {
			return false
		}
	}
	return true
}
