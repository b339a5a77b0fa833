package signature

import "github.com/sigstore/sigstore-go/pkg/verify"

// claim is a signature that says that it is of the manifest in question. Who made it is not known yet.
type claim interface {
	// isBy says whether the key made it.
	isBy(k *key) bool
	// certified returns what is to be verified of it with a certificate, nil if it has none.
	certified() (*certified, error)
}

// certified is a signature with a certificate.
type certified struct {
	entity verify.SignedEntity
	// artifact is what was signed.
	artifact verify.ArtifactPolicyOption
}

// newClaim decodes a signature. It refuses those that are not of this manifest.
func newClaim(digest string, s *Signature) (claim, error) {
	if err := s.checkForm(); err != nil {
		return nil, err
	}
	if len(s.Bundle) > 0 {
		return newBundleClaim(digest, s.Bundle)
	}
	if err := checkPayload(s.Payload, digest); err != nil {
		return nil, err
	}
	return &classicClaim{s}, nil
}
