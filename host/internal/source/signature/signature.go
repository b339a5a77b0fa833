// Package signature makes and verifies signatures of modules, as cosign does.
package signature

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// The bounds of what a registry may hand over for one module.
const (
	// maxSignatures is far above what people attach, and little work: each is checked once with each key.
	maxSignatures = 100
	// maxSignature bounds all parts of one, in bytes. Those that cosign makes have 10 KiB at most.
	maxSignature = 256 << 10
)

// Signature is a signature as a registry has it, in one of two forms: the classic one of cosign, with a payload, or a
// Sigstore bundle alone. Nothing in it was checked.
type Signature struct {
	// Payload is what was signed in the classic form: cosign's JSON with the digest of the manifest.
	Payload []byte
	// Signature is that of Payload, not encoded.
	Signature []byte
	// Certificate and Chain are PEM: who signed without a key of their own, and the authorities above.
	Certificate []byte
	Chain       []byte
	// RekorBundle is the entry of a transparency log, JSON as in the annotation dev.sigstore.cosign/bundle.
	RekorBundle []byte
	// Bundle is a Sigstore bundle, JSON. The other fields are empty then.
	Bundle []byte
}

// digestForm is what digests of manifests look like.
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func checkDigest(digest string) error {
	if !digestForm.MatchString(digest) {
		return fmt.Errorf("%q is no digest of a manifest: want sha256: and 64 hexadecimal digits", digest)
	}
	return nil
}

// Sign signs a manifest in cosign's classic form, which needs no log and no network. The reference says to readers where
// the module was signed, as in "registry.example.com/team/module".
func Sign(key *PrivateKey, manifestDigest, reference string) (Signature, error) {
	if err := checkDigest(manifestDigest); err != nil {
		return Signature{}, fmt.Errorf("cannot sign: %w", err)
	}
	if reference == "" {
		return Signature{}, errors.New("cannot sign: give the registry and repository of the module as its reference")
	}
	payload, err := newPayload(manifestDigest, reference)
	if err != nil {
		return Signature{}, fmt.Errorf("cannot sign %s: %w", manifestDigest, err)
	}
	signature, err := key.signer.SignMessage(bytes.NewReader(payload))
	if err != nil {
		return Signature{}, fmt.Errorf("cannot sign %s: %w", manifestDigest, err)
	}
	return Signature{Payload: payload, Signature: signature}, nil
}

// size returns the size of all parts, in bytes.
func (s *Signature) size() int {
	return len(s.Payload) + len(s.Signature) + len(s.Certificate) + len(s.Chain) + len(s.RekorBundle) + len(s.Bundle)
}

// checkForm refuses what is too large and what has both forms or neither.
func (s *Signature) checkForm() error {
	classic := s.size() - len(s.Bundle)
	switch {
	case s.size() > maxSignature:
		return fmt.Errorf("it is larger than %d KiB", maxSignature>>10)
	case len(s.Bundle) > 0 && classic > 0:
		return errors.New("it has a bundle beside a signature of cosign's classic form, and may have one of them")
	case len(s.Bundle) == 0 && len(s.Payload) == 0:
		return errors.New("it has neither a payload nor a bundle")
	}
	return nil
}
