package source

import (
	"context"
	"fmt"
	"strings"
)

// Policy is what is demanded of a module before it is handed out. The zero value demands nothing.
type Policy struct {
	// RequireDigest refuses sources without a digest.
	RequireDigest bool
	// AllowedSources are beginnings of source URLs, which end where a part of the path does: oci://ghcr.io/acme or
	// oci://ghcr.io/acme/ allow oci://ghcr.io/acme/site:1, and not oci://ghcr.io/acme-labs/site:1. A mirror need not be among
	// them. Empty: all are allowed.
	AllowedSources []string
	// Verify decides whether a module's signatures are good enough. It is called each time before a module is handed out,
	// wherever that was kept. Sources other than registries cannot have signatures: for them it is called without any, so
	// that whoever demands signatures refuses them. Nil: none are demanded.
	Verify func(context.Context, Subject) error
}

// Subject is a module with the signatures that are attached to it.
type Subject struct {
	// URL is the source, as it was asked for.
	URL string
	// Digest is what a signature is made of: that of the manifest for a registry's module, and else of the module itself.
	Digest string
	// Signatures are all that there are, as they were found: nothing about them was checked.
	Signatures []Signature
}

// PolicyError says that the policy refuses a module. Trying again does not help.
type PolicyError struct{ reason string }

// Error says why.
func (e *PolicyError) Error() string { return e.reason }

func (p *Policy) check() error {
	for _, allowed := range p.AllowedSources {
		if err := CheckPrefix(allowed); err != nil {
			return err
		}
	}
	return nil
}

// admit says whether a source may be asked at all.
func (p *Policy) admit(ref Ref) error {
	if p.RequireDigest && ref.Digest == "" {
		return &PolicyError{"the policy requires a digest: add @sha256: and the digest, or have wasmloop lock do it"}
	}
	return p.admitTag(ref)
}

// admitTag is admit for those who are about to find the digest.
func (p *Policy) admitTag(ref Ref) error {
	if len(p.AllowedSources) == 0 {
		return nil
	}
	for _, allowed := range p.AllowedSources {
		if within(ref, allowed) {
			return nil
		}
	}
	return &PolicyError{"the policy allows sources from " + strings.Join(p.AllowedSources, ", ") + " alone"}
}

func within(ref Ref, allowed string) bool {
	name := ref.Name()
	if strings.HasSuffix(allowed, "/") {
		return strings.HasPrefix(name, allowed)
	}
	return name == allowed || ref.Tag != "" && name+":"+ref.Tag == allowed || strings.HasPrefix(name, allowed+"/")
}

// verify asks whoever judges signatures.
func (p *Policy) verify(ctx context.Context, subject Subject) error {
	if p.Verify == nil {
		return nil
	}
	if err := p.Verify(ctx, subject); err != nil {
		return fmt.Errorf("its signatures are not accepted: %w", err)
	}
	return nil
}
