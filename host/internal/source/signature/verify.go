package signature

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Verified says by whom a module is signed.
type Verified struct {
	// Signers are those of the policy whose signatures were found: with require any just the first.
	Signers []Signer
}

// Signer is one of a policy's keys or identities that signed.
type Signer struct {
	// Name is "key NAME", or "identity SUBJECT of ISSUER" as in the policy.
	Name string
	// Subject and Issuer are those of the certificate. They are empty for a key.
	Subject, Issuer string
	// Time is when it was signed, as a log or a timestamp authority says. It is zero for a key.
	Time time.Time
}

// Verify says who signed a manifest. A signature that is not valid, or by somebody else, does not spoil those beside it. An
// *Error says that the signatures do not suffice.
func (v *Verifier) Verify(manifestDigest string, signatures []Signature) (*Verified, error) {
	if err := checkDigest(manifestDigest); err != nil {
		return nil, err
	}
	fault := &Error{Digest: manifestDigest, Count: len(signatures), AnyOf: !v.all, Missing: v.missing(nil)}
	if len(signatures) > maxSignatures {
		return nil, fault
	}
	var found []Signer
	for i := range signatures {
		signers, err := v.signersOf(manifestDigest, &signatures[i])
		if err != nil {
			fault.Refused = append(fault.Refused, Refusal{Index: i, Reason: brief(err)})
			continue
		}
		found = addNew(found, signers)
		if !v.all {
			return &Verified{Signers: found[:1]}, nil
		}
	}
	if fault.Missing = v.missing(found); len(fault.Missing) > 0 {
		return nil, fault
	}
	return &Verified{Signers: found}, nil
}

// missing returns the keys and identities that are not among the signers.
func (v *Verifier) missing(found []Signer) []string {
	var missing []string
	for _, name := range v.names() {
		if !contains(found, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

func (v *Verifier) names() []string {
	var names []string
	for _, key := range v.keys {
		names = append(names, key.label())
	}
	for _, identity := range v.identities {
		names = append(names, identity.name)
	}
	return names
}

// addNew adds the signers that are not there yet.
func addNew(found, signers []Signer) []Signer {
	for _, signer := range signers {
		if !contains(found, signer.Name) {
			found = append(found, signer)
		}
	}
	return found
}

func contains(signers []Signer, name string) bool {
	return slices.ContainsFunc(signers, func(signer Signer) bool { return signer.Name == name })
}

// signersOf returns those of the policy whose signature it is. If there are none, the error says why.
func (v *Verifier) signersOf(digest string, s *Signature) ([]Signer, error) {
	claim, err := newClaim(digest, s)
	if err != nil {
		return nil, err
	}
	for _, key := range v.keys {
		if claim.isBy(key) {
			return []Signer{{Name: key.label()}}, nil
		}
	}
	certified, err := claim.certified()
	switch {
	case err != nil:
		return nil, err
	case certified != nil && v.certified != nil:
		return v.byIdentity(certified)
	case len(v.keys) == 0:
		return nil, errors.New("it has no certificate, and the policy names no keys")
	case certified != nil:
		return nil, errors.New("it is with a certificate, and the policy names no identities")
	}
	return nil, errors.New("it is by another key, or damaged")
}

// byIdentity returns the identities whose certificate it was signed with. Patterns of more than one may match.
func (v *Verifier) byIdentity(c *certified) ([]Signer, error) {
	// Who it is comes after: each identity is asked, and not just the first that matches.
	result, err := v.certified.Verify(c.entity, verify.NewPolicy(c.artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, err
	}
	certificate := result.Signature.Certificate
	var signers []Signer
	for _, identity := range v.identities {
		if identity.matcher.Verify(*certificate) == nil {
			signers = append(signers, Signer{
				Name: identity.name, Subject: certificate.SubjectAlternativeName, Issuer: certificate.Issuer,
				Time: result.VerifiedTimestamps[0].Timestamp,
			})
		}
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("it is by %s of %s, whom the policy does not name", certificate.SubjectAlternativeName, certificate.Issuer)
	}
	return signers, nil
}
