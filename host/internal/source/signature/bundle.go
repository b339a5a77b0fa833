package signature

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// signPredicate is what cosign calls the statement that is a signature. Other statements about a module are signed with the
// same keys, such as that it has a weakness.
const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// bundleClaim is a Sigstore bundle that says that it is of this manifest.
type bundleClaim struct {
	*bundle.Bundle
	sum        []byte
	isEnvelope bool
}

func newBundleClaim(digest string, data []byte) (*bundleClaim, error) {
	decoded := &bundle.Bundle{}
	if err := decoded.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("its bundle is not valid: %w", err)
	}
	content, err := decoded.SignatureContent()
	if err != nil {
		return nil, fmt.Errorf("its bundle is not valid: %w", err)
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return nil, err
	}
	c := &bundleClaim{Bundle: decoded, sum: sum}
	if message := content.MessageSignatureContent(); message != nil {
		return c, c.checkMessage(message)
	}
	c.isEnvelope = true
	return c, c.checkStatement(content.EnvelopeContent())
}

func (c *bundleClaim) checkMessage(message verify.MessageSignatureContent) error {
	if !bytes.Equal(message.Digest(), c.sum) {
		return fmt.Errorf("it is of another manifest, %x", message.Digest())
	}
	return nil
}

func (c *bundleClaim) checkStatement(envelope verify.EnvelopeContent) error {
	statement, err := envelope.Statement()
	if err != nil {
		return fmt.Errorf("its statement is not valid: %w", err)
	}
	if statement.GetPredicateType() != signPredicate {
		return fmt.Errorf("it is a statement of the type %q, not %q", statement.GetPredicateType(), signPredicate)
	}
	for _, subject := range statement.GetSubject() {
		if subject.GetDigest()["sha256"] == hex.EncodeToString(c.sum) {
			return nil
		}
	}
	return errors.New("it is of another manifest")
}

func (c *bundleClaim) artifact() verify.ArtifactPolicyOption {
	return verify.WithArtifactDigest("sha256", c.sum)
}

// isBy does not ask for an entry of a log: a key is trusted for as long as the policy names it.
func (c *bundleClaim) isBy(k *key) bool {
	verifier, err := verify.NewVerifier(k.trusted(c.isEnvelope), verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	if err != nil {
		return false
	}
	_, err = verifier.Verify(c.Bundle, verify.NewPolicy(c.artifact(), verify.WithKey()))
	return err == nil
}

func (c *bundleClaim) certified() (*certified, error) {
	content, err := c.VerificationContent()
	if err != nil {
		return nil, fmt.Errorf("its bundle is not valid: %w", err)
	}
	if content.Certificate() == nil {
		return nil, nil // there is none
	}
	return &certified{entity: c.Bundle, artifact: c.artifact()}, nil
}
