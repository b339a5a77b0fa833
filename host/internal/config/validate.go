package config

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	_ "time/tzdata" // a schedule may name a time zone, and the machine may have no zone files

	"github.com/robfig/cron/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxMemory is all that a 32-bit module can address.
const maxMemory = 4 << 30

var modulesPath = field.NewPath("modules")

func (c *Config) validate() field.ErrorList {
	var faults field.ErrorList
	faults = append(faults, exactly(field.NewPath("apiVersion"), c.APIVersion, APIVersion)...)
	faults = append(faults, exactly(field.NewPath("kind"), c.Kind, Kind)...)
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		faults = append(faults, c.Modules[name].validate(modulesPath.Child(name), &c.Policy)...)
	}
	faults = append(faults, c.validateSupply()...)
	if c.LogLevel != "" {
		faults = append(faults, oneOf(field.NewPath("logLevel"), c.LogLevel, LogInfo, LogDebug)...)
	}
	if len(c.Controllers) == 0 {
		faults = append(faults, field.Required(field.NewPath("controllers"), "a host needs at least one controller"))
	}
	byName := map[string]bool{}
	for i := range c.Controllers {
		path, controller := field.NewPath("controllers").Index(i), &c.Controllers[i]
		faults = append(faults, controller.validate(path, c.Modules)...)
		if byName[controller.Name] {
			faults = append(faults, field.Duplicate(path.Child("name"), controller.Name))
		}
		byName[controller.Name] = true
	}
	return faults
}

func exactly(path *field.Path, got, want string) field.ErrorList {
	if got == want {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, got, []string{want})}
}

func (l Limits) validate(path *field.Path) field.ErrorList {
	faults := validateSize(path.Child("memory"), l.Memory)
	faults = append(faults, validateSize(path.Child("request"), l.Request)...)
	faults = append(faults, validateSize(path.Child("response"), l.Response)...)
	faults = append(faults, validateSize(path.Child("logBytes"), l.LogBytes)...)
	faults = append(faults, validateCount(path.Child("fuel"), l.Fuel, math.MaxInt64)...)
	faults = append(faults, validateCount(path.Child("tables"), l.Tables, math.MaxUint32)...)
	faults = append(faults, validateCount(path.Child("logLines"), l.LogLines, math.MaxInt32)...)
	return append(faults, validateDuration(path.Child("timeout"), l.Timeout)...)
}

// validateBeside leaves out the faults of the module's limits, which are told of there.
func (l Limits) validateBeside(module Limits, path *field.Path) field.ErrorList {
	told := module.validate(path)
	return slices.DeleteFunc(l.validate(path), func(fault *field.Error) bool {
		return slices.ContainsFunc(told, func(other *field.Error) bool { return *other == *fault })
	})
}

func validateCount(path *field.Path, count Count, most int64) field.ErrorList {
	units, err := count.Units()
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, string(count), err.Error())}
	case units > most:
		return field.ErrorList{field.Invalid(path, string(count), fmt.Sprintf("must not be above %d", most))}
	default:
		return nil
	}
}

func validateSize(path *field.Path, size Size) field.ErrorList {
	bytes, err := size.Bytes()
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, string(size), err.Error())}
	case bytes > maxMemory:
		return field.ErrorList{field.Invalid(path, string(size), fmt.Sprintf("must not be above %d bytes", maxMemory))}
	default:
		return nil
	}
}

func validateDuration(path *field.Path, duration Duration) field.ErrorList {
	if _, err := duration.Duration(); err != nil {
		return field.ErrorList{field.Invalid(path, string(duration), err.Error())}
	}
	return nil
}

func (c *Controller) validate(path *field.Path, modules map[string]Module) field.ErrorList {
	faults := validateName(path.Child("name"), c.Name)
	if c.Module == "" {
		faults = append(faults, field.Required(path.Child("module"), "the name of an entry of modules"))
	} else if _, ok := modules[c.Module]; !ok {
		faults = append(faults, field.NotSupported(path.Child("module"), c.Module, slices.Sorted(maps.Keys(modules))))
	}
	if len(c.For) == 0 {
		faults = append(faults, field.Required(path.Child("for"), "a controller reconciles at least one kind"))
	}
	faults = append(faults, validateKinds(path.Child("for"), c.ForKinds())...)
	for i := range c.For {
		faults = append(faults, c.For[i].validate(path.Child("for").Index(i))...)
	}
	faults = append(faults, c.validateOwns(path.Child("owns"))...)
	if module, ok := modules[c.Module]; ok { // else there is nothing to complete the limits from
		faults = append(faults, c.Limits.validateBeside(module.Limits, path.Child("limits"))...)
	}
	faults = append(faults, c.Related.validate(path.Child("related"))...)
	faults = append(faults, c.validateTimes(path)...)
	faults = append(faults, c.validateAccount(path)...)
	if c.Workers < 0 {
		faults = append(faults, field.Invalid(path.Child("workers"), c.Workers, "must not be negative"))
	}
	if c.Prune.MaxPerReconcile < 0 {
		faults = append(faults, field.Invalid(path.Child("prune", "maxPerReconcile"), c.Prune.MaxPerReconcile, "must not be negative"))
	}
	if settings := bytes.TrimSpace(c.Settings); len(settings) > 0 && settings[0] != '{' {
		faults = append(faults, field.Invalid(path.Child("settings"), string(settings), "must be an object"))
	}
	return append(faults, validateDuration(path.Child("resync"), c.Resync)...)
}

func (c *Controller) validateAccount(path *field.Path) (faults field.ErrorList) {
	if c.ServiceAccount == "" {
		return nil
	}
	at := path.Child("serviceAccount")
	if c.TokenFile != "" {
		faults = append(faults, field.Invalid(at, c.ServiceAccount, "serviceAccount and tokenFile exclude each other: the token says whose it is"))
	}
	namespace, name, _ := strings.Cut(c.ServiceAccount, "/")
	if namespace == "" || name == "" {
		return append(faults, field.Invalid(at, c.ServiceAccount, "want NAMESPACE/NAME"))
	}
	for _, message := range append(validation.IsDNS1123Label(namespace), validation.IsDNS1123Subdomain(name)...) {
		faults = append(faults, field.Invalid(at, c.ServiceAccount, message))
	}
	return faults
}

func (c *Controller) validateOwns(path *field.Path) field.ErrorList {
	var faults field.ErrorList
	for i, owned := range c.Owns {
		item := path.Index(i)
		faults = append(faults, oneOf(item.Child("updateStrategy"), owned.UpdateStrategy, UpdateInPlace, UpdateRecreate, UpdateOnDelete)...)
		faults = append(faults, oneOf(item.Child("ownerReference"), owned.OwnerReference, OwnerReferenceController, OwnerReferenceOwner)...)
		faults = append(faults, owned.View.validate(item)...)
		for j, namespace := range owned.Namespaces {
			faults = append(faults, validateNamespaces(item.Child("namespaces").Index(j), namespace)...)
		}
	}
	return append(faults, validateKinds(path, c.OwnedKinds())...)
}

func (r *Reconciled) validate(path *field.Path) field.ErrorList {
	faults := append(r.View.validate(path), validateNamespaces(path.Child("namespaces"), r.Namespaces...)...)
	faults = append(faults, validateSelector(path.Child("namespaceSelector"), r.NamespaceSelector)...)
	faults = append(faults, validateSelector(path.Child("labelSelector"), r.LabelSelector)...)
	faults = append(faults, validateSelector(path.Child("annotationSelector"), r.AnnotationSelector)...)
	return append(faults, r.validateFieldSelector(path.Child("fieldSelector"))...)
}

func (r *Reconciled) validateFieldSelector(path *field.Path) (faults field.ErrorList) {
	selector, err := fields.ParseSelector(r.FieldSelector)
	if err != nil {
		return field.ErrorList{field.Invalid(path, r.FieldSelector, err.Error())}
	}
	for _, requirement := range selector.Requirements() {
		if r.MetadataOnly && !strings.HasPrefix(requirement.Field, "metadata.") {
			faults = append(faults, field.Invalid(path, r.FieldSelector, "with metadataOnly: true no field but those of metadata is known"))
		}
	}
	return faults
}

func (c *Controller) validateTimes(path *field.Path) (faults field.ErrorList) {
	if c.MinInterval != "" {
		faults = append(faults, validateDuration(path.Child("minInterval"), c.MinInterval)...)
	}
	if c.Schedule == "" {
		return faults
	}
	if _, err := cron.ParseStandard(c.Schedule); err != nil {
		faults = append(faults, field.Invalid(path.Child("schedule"), c.Schedule, err.Error()))
	}
	if !c.Clock {
		faults = append(faults, field.Invalid(path.Child("schedule"), c.Schedule, "needs clock: true: without a clock the answer would be the same again"))
	}
	return faults
}

// fieldPathForm is the form of a path: names with dots between them, or in brackets.
var fieldPathForm = regexp.MustCompile(`^[^.,\[\]]+(\.[^.,\[\]]+|\[[^,\[\]]+\])*$`)

func (v View) validate(path *field.Path) (faults field.ErrorList) {
	check := func(list *field.Path, paths []string) {
		for i, fieldPath := range paths {
			if !fieldPathForm.MatchString(fieldPath) {
				faults = append(faults, field.Invalid(list.Index(i), fieldPath,
					"want names of fields with dots between them, like spec.template, and a name that has dots in brackets, like metadata.annotations[example.com/a]"))
			}
		}
	}
	check(path.Child("fields"), v.Fields)
	check(path.Child("ignore"), v.Ignore)
	return faults
}

// validateAs also refuses another projection than an earlier one of the same kind, since a kind is watched in one way.
func (p Projection) validateAs(path *field.Path, earlier map[GroupVersionKind]Projection, kind GroupVersionKind) field.ErrorList {
	faults := p.validate(path)
	if before, ok := earlier[kind]; ok && !p.equal(before) {
		return append(faults, field.Invalid(path, kind.String(), "fields, ignore and metadataOnly must be the same wherever the kind is related"))
	}
	earlier[kind] = p
	return faults
}

func (p Projection) equal(other Projection) bool {
	return slices.Equal(p.Fields, other.Fields) && slices.Equal(p.Ignore, other.Ignore) && p.MetadataOnly == other.MetadataOnly
}

func validateSelector(path *field.Path, selector *LabelSelector) field.ErrorList {
	if selector == nil {
		return nil
	}
	if _, err := metav1.LabelSelectorAsSelector(selector.Schema()); err != nil {
		return field.ErrorList{field.Invalid(path, selector, err.Error())}
	}
	return nil
}

func (r Related) validate(path *field.Path) field.ErrorList {
	var faults field.ErrorList
	projections := map[GroupVersionKind]Projection{}
	for i, rule := range r.Rules {
		item := path.Child("rules").Index(i)
		faults = append(faults, rule.validate(item)...)
		faults = append(faults, rule.validateAs(item, projections, rule.GroupVersionKind)...)
		faults = append(faults, validateNamespaces(item.Child("namespace"), rule.Namespace)...)
		if rule.Namespace == "*" && rule.Names != nil {
			faults = append(faults, field.Invalid(item.Child("names"), rule.Names, "exclude all namespaces: name the namespace, or select by labels"))
		}
		if rule.LabelSelector == nil {
			continue
		}
		if len(rule.Names) > 0 {
			faults = append(faults, field.Invalid(item.Child("labelSelector"), rule.Names, "names and labelSelector exclude each other"))
		}
		faults = append(faults, validateSelector(item.Child("labelSelector"), rule.LabelSelector)...)
	}
	for i, allowed := range r.Allow {
		item := path.Child("allow").Index(i)
		faults = append(faults, allowed.validate(item)...)
		faults = append(faults, allowed.validateAs(item, projections, allowed.GroupVersionKind)...)
		faults = append(faults, validateNamespaces(item.Child("namespaces"), allowed.Namespaces...)...)
	}
	return faults
}

// validateNamespaces checks names of namespaces, of which "*" stands for all and "" for none.
func validateNamespaces(path *field.Path, namespaces ...string) (faults field.ErrorList) {
	for _, namespace := range namespaces {
		if messages := validation.IsDNS1123Label(namespace); namespace != "*" && namespace != "" && len(messages) > 0 {
			faults = append(faults, field.Invalid(path, namespace, strings.Join(messages, "; ")))
		}
	}
	return faults
}

func oneOf(path *field.Path, got string, allowed ...string) field.ErrorList {
	if slices.Contains(allowed, got) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, got, allowed)}
}

func validateName(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "what the controller is known by")}
	}
	var faults field.ErrorList
	for _, message := range validation.IsDNS1123Label(name) {
		faults = append(faults, field.Invalid(path, name, message))
	}
	return faults
}

// validateKinds also refuses one kind in two versions: both would be the same objects.
func validateKinds(path *field.Path, kinds []GroupVersionKind) field.ErrorList {
	var faults field.ErrorList
	seen := map[schema.GroupKind]bool{}
	for i, kind := range kinds {
		item := path.Index(i)
		faults = append(faults, kind.validate(item)...)
		if groupKind := kind.Schema().GroupKind(); seen[groupKind] {
			faults = append(faults, field.Duplicate(item, kind.String()))
		} else {
			seen[groupKind] = true
		}
	}
	return faults
}

func (k GroupVersionKind) validate(path *field.Path) (faults field.ErrorList) {
	if gv, err := schema.ParseGroupVersion(k.APIVersion); err != nil || gv.Version == "" {
		faults = append(faults, field.Invalid(path.Child("apiVersion"), k.APIVersion, "want GROUP/VERSION, or v1 for the core group"))
	}
	if k.Kind == "" {
		faults = append(faults, field.Required(path.Child("kind"), "the kind's name, like ConfigMap"))
	}
	return faults
}
