package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/wasmloop/wasmloop/host/internal/source"
)

// How the sources begin that a config knows of.
const (
	fileScheme = "file://"
	pemBegin   = "-----BEGIN"
)

func (m Module) validate(path *field.Path, policy *Policy) field.ErrorList {
	faults := m.validateSource(path, policy)
	faults = append(faults, m.Limits.validate(path.Child("limits"))...)
	return append(faults, oneOf(path.Child("isolation"), m.Isolation, "hermetic", "pooled")...)
}

func (m Module) validateSource(path *field.Path, policy *Policy) field.ErrorList {
	at := path.Child("source")
	if m.Source == "" {
		return field.ErrorList{field.Required(at, "for example file://modules/mine.wasm")}
	}
	absolute := m.Source
	if file, isFile := strings.CutPrefix(absolute, fileScheme); isFile && !filepath.IsAbs(file) {
		if file == "" {
			return field.ErrorList{field.Invalid(at, m.Source, "it has no path")}
		}
		absolute = fileScheme + filepath.Join("/", file) // where the file is, Load knows
	}
	parsed, err := source.Parse(absolute)
	if err != nil {
		return field.ErrorList{field.Invalid(at, m.Source, strings.TrimPrefix(err.Error(), fmt.Sprintf("source %q: ", absolute)))}
	}
	var faults field.ErrorList
	if policy.RequireDigest && parsed.Digest == "" {
		faults = append(faults, field.Invalid(at, m.Source, "policy.requireDigest wants a digest at its end: wasmloop lock adds it"))
	}
	if m.Poll == "" {
		return faults
	}
	if parsed.Digest != "" {
		faults = append(faults, field.Invalid(path.Child("poll"), string(m.Poll), "a source with a digest has always the same module"))
	}
	return append(faults, validateDuration(path.Child("poll"), m.Poll)...)
}

// validateSupply checks what the config says of how modules are fetched.
func (c *Config) validateSupply() (faults field.ErrorList) {
	for _, host := range slices.Sorted(maps.Keys(c.Registries)) {
		path := field.NewPath("registries").Child(host)
		if err := source.CheckHost(host); err != nil {
			faults = append(faults, field.Invalid(path, host, err.Error()))
		}
		for i, mirror := range c.Registries[host].Mirrors {
			if err := source.CheckMirror(mirror); err != nil {
				faults = append(faults, field.Invalid(path.Child("mirrors").Index(i), mirror, err.Error()))
			}
		}
	}
	for i, secret := range c.ImagePullSecrets {
		path := field.NewPath("imagePullSecrets").Index(i)
		for name, value := range map[string]string{"namespace": secret.Namespace, "name": secret.Name} {
			for _, message := range validation.IsDNS1123Subdomain(value) {
				faults = append(faults, field.Invalid(path.Child(name), value, message))
			}
		}
	}
	return append(faults, c.Policy.validate(field.NewPath("policy"))...)
}

func (p *Policy) validate(path *field.Path) (faults field.ErrorList) {
	for i, allowed := range p.AllowedSources {
		if err := source.CheckPrefix(allowed); err != nil {
			faults = append(faults, field.Invalid(path.Child("allowedSources").Index(i), allowed, err.Error()))
		}
	}
	if p.Signatures != nil {
		faults = append(faults, p.Signatures.validate(path.Child("signatures"))...)
	}
	return faults
}

func (s *Signatures) validate(path *field.Path) (faults field.ErrorList) {
	if len(s.Keys)+len(s.Identities) == 0 {
		faults = append(faults, field.Required(path, "keys or identities: without any, no signature would do"))
	}
	if len(s.Identities) > 0 && s.TrustedRoot == "" {
		faults = append(faults, field.Required(path.Child("trustedRoot"), "identities need the authorities and logs that are to be trusted"))
	}
	return append(faults, oneOf(path.Child("require"), s.Require, RequireAny, RequireAll)...)
}

// resolvePaths makes relative paths absolute: they start at the config's folder.
func (c *Config) resolvePaths(folder string) {
	resolve := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
	for name, module := range c.Modules {
		if path, isFile := strings.CutPrefix(module.Source, fileScheme); isFile {
			resolve(&path)
			module.Source = fileScheme + path
			c.Modules[name] = module
		}
	}
	for i := range c.Controllers {
		resolve(&c.Controllers[i].TokenFile)
	}
	for host, registry := range c.Registries {
		resolve(&registry.CAFile)
		c.Registries[host] = registry
	}
	if signatures := c.Policy.Signatures; signatures != nil {
		resolve(&signatures.TrustedRoot)
		for i, key := range signatures.Keys {
			if !isPEM(key) {
				resolve(&signatures.Keys[i])
			}
		}
	}
}

func isPEM(key string) bool { return strings.HasPrefix(strings.TrimSpace(key), pemBegin) }

// missingFiles finds files that are not there. One that is there and is no module is not the config's fault.
func (c *Config) missingFiles() (faults field.ErrorList) {
	look := func(at *field.Path, path, shown string) {
		if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, field.Invalid(at, shown, "there is no such file"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		from := c.Modules[name].Source
		if parsed, err := source.Parse(from); err == nil && strings.HasPrefix(from, fileScheme) {
			look(modulesPath.Child(name, "source"), parsed.Path, from)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(c.Registries)) {
		file := c.Registries[host].CAFile
		look(field.NewPath("registries").Child(host).Child("caFile"), file, file)
	}
	for i, controller := range c.Controllers {
		look(field.NewPath("controllers").Index(i).Child("tokenFile"), controller.TokenFile, controller.TokenFile)
	}
	if signatures := c.Policy.Signatures; signatures != nil {
		path := field.NewPath("policy", "signatures")
		look(path.Child("trustedRoot"), signatures.TrustedRoot, signatures.TrustedRoot)
		for i, key := range signatures.Keys {
			if !isPEM(key) {
				look(path.Child("keys").Index(i), key, key)
			}
		}
	}
	return faults
}

// Files returns the files that the config names, in no order.
func (c *Config) Files() []string {
	files := c.TrustFiles()
	for _, module := range c.Modules {
		if parsed, err := source.Parse(module.Source); err == nil && strings.HasPrefix(module.Source, fileScheme) {
			files = append(files, parsed.Path)
		}
	}
	return files
}

// TrustFiles returns those of Files that say whom to trust when modules are fetched, in the config's order.
func (c *Config) TrustFiles() (files []string) {
	for _, host := range slices.Sorted(maps.Keys(c.Registries)) {
		if file := c.Registries[host].CAFile; file != "" {
			files = append(files, file)
		}
	}
	if signatures := c.Policy.Signatures; signatures != nil {
		if signatures.TrustedRoot != "" {
			files = append(files, signatures.TrustedRoot)
		}
		files = append(files, slices.DeleteFunc(slices.Clone(signatures.Keys), isPEM)...)
	}
	return files
}
