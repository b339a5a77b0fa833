package signature

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// The bounds of a policy.
const (
	maxSigners = 32
	maxText    = 1024    // bytes of a name or a pattern
	maxRoot    = 1 << 20 // bytes of a trusted root: that of Sigstore has 7 KiB
)

// Require says how many of a policy's keys and identities must have signed.
type Require string

const (
	// Any is one of them, whichever. It is what an empty Require means.
	Any Require = "any"
	// All is each of them.
	All Require = "all"
)

// Policy says who must have signed a module.
type Policy struct {
	// Keys are public keys.
	Keys []Key
	// Identities are people and programs that sign without a key of their own, with a certificate for a few minutes.
	Identities []Identity
	// Require is how many of Keys and Identities must have signed. Empty: any.
	Require Require
	// TrustedRoot is a Sigstore trusted root, JSON. It has the authorities whose certificates are believed, and the logs and
	// timestamp authorities that say when they were used. Identities need it. Nothing else is trusted, and nothing fetched.
	TrustedRoot []byte
}

// Key is a public key with a name to call it by.
type Key struct {
	Name string
	// PEM is an ECDSA, RSA or Ed25519 key.
	PEM []byte
}

// Identity is who a certificate was made for, by whose word. Of Issuer and IssuerRegExp it has one, and of Subject and
// SubjectRegExp. Patterns match the whole of the text, whether they are anchored or not.
type Identity struct {
	// Issuer is the URL of who knows the subject: "https://token.actions.githubusercontent.com".
	Issuer       string
	IssuerRegExp string
	// Subject is an email address, or the URL of a workflow or a service.
	Subject       string
	SubjectRegExp string
}

// String returns the identity as errors have it.
func (i Identity) String() string {
	part := func(exact, pattern string) string {
		if pattern != "" {
			return "/" + pattern + "/"
		}
		return exact
	}
	return fmt.Sprintf("%s of %s", part(i.Subject, i.SubjectRegExp), part(i.Issuer, i.IssuerRegExp))
}

// identity is an Identity that was checked.
type identity struct {
	name    string
	matcher verify.CertificateIdentity
}

// Verifier verifies signatures by a policy. It is safe for concurrent use, and does not use the network.
type Verifier struct {
	keys       []*key
	identities []identity
	all        bool
	// certified verifies what was signed with a certificate. It is nil if the policy has no identities.
	certified *verify.Verifier
}

// NewVerifier returns a verifier. A policy that nobody could meet, or anybody, is an error.
func NewVerifier(policy Policy) (*Verifier, error) {
	v := &Verifier{all: policy.Require == All}
	if err := policy.check(); err != nil {
		return nil, err
	}
	if err := v.addKeys(policy.Keys); err != nil {
		return nil, err
	}
	if err := v.addIdentities(policy.Identities); err != nil {
		return nil, err
	}
	if len(v.identities) > 0 {
		certified, err := newCertified(policy.TrustedRoot)
		if err != nil {
			return nil, fmt.Errorf("trusted root: %w", err)
		}
		v.certified = certified
	}
	return v, nil
}

func (p *Policy) check() error {
	switch {
	case len(p.Keys)+len(p.Identities) == 0:
		return errors.New("name a key or an identity: without one, there is nobody whose signature would count")
	case len(p.Keys)+len(p.Identities) > maxSigners:
		return fmt.Errorf("there are more than %d keys and identities", maxSigners)
	case p.Require != "" && p.Require != Any && p.Require != All:
		return fmt.Errorf("require: %q: want %s or %s", p.Require, Any, All)
	case len(p.Identities) > 0 && len(p.TrustedRoot) == 0:
		return errors.New("identities need a trusted root, which has the authorities whose certificates are believed")
	case len(p.Identities) == 0 && len(p.TrustedRoot) > 0:
		return errors.New("there is a trusted root without identities: name those who may sign")
	}
	return nil
}

func (v *Verifier) addKeys(keys []Key) error {
	for i, given := range keys {
		if given.Name == "" || len(given.Name) > maxText || strings.ContainsFunc(given.Name, notPrintable) {
			return fmt.Errorf("key %d: %q: want a name of one line", i+1, given.Name)
		}
		added, err := parseKey(given.Name, given.PEM)
		if err != nil {
			return fmt.Errorf("key %s: %w", given.Name, err)
		}
		for _, other := range v.keys {
			if other.name == added.name {
				return fmt.Errorf("key %s: there are two of this name", added.name)
			}
			if added.equals(other.public) {
				return fmt.Errorf("key %s: it is the same key as %s", added.name, other.name)
			}
		}
		v.keys = append(v.keys, added)
	}
	return nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

func (k *key) equals(other crypto.PublicKey) bool {
	comparable, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(other)
}

func (v *Verifier) addIdentities(identities []Identity) error {
	for i, given := range identities {
		added, err := newIdentity(given)
		if err != nil {
			return fmt.Errorf("identity %d: %w", i+1, err)
		}
		for _, other := range v.identities {
			if other.name == added.name {
				return fmt.Errorf("identity %d: %s is there twice", i+1, added.name)
			}
		}
		v.identities = append(v.identities, added)
	}
	return nil
}

// newCertified returns a verifier of certificates. What the root has is what is asked for: a certificate is in a
// transparency log if the root has such logs, and likewise a signature; when it was made is always proven, by a log or by a
// timestamp authority.
func newCertified(trustedRoot []byte) (*verify.Verifier, error) {
	if len(trustedRoot) > maxRoot {
		return nil, fmt.Errorf("it is larger than %d KiB", maxRoot>>10)
	}
	trusted, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("it is not a Sigstore trusted root: %w", err)
	}
	if len(trusted.FulcioCertificateAuthorities()) == 0 {
		return nil, errors.New("it has no certificate authority")
	}
	if len(trusted.RekorLogs())+len(trusted.TimestampingAuthorities()) == 0 {
		return nil, errors.New("it has neither a transparency log nor a timestamp authority, so that nothing proves when a certificate was used")
	}
	wanted := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(trusted.RekorLogs()) > 0 {
		wanted = append(wanted, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		wanted = append(wanted, verify.WithSignedCertificateTimestamps(1))
	}
	return verify.NewVerifier(trusted, wanted...)
}
