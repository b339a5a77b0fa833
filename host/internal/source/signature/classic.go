package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// classicClaim is a signature of a payload that was checked.
type classicClaim struct {
	*Signature
}

func (c *classicClaim) isBy(k *key) bool {
	return k.verifies(c.Signature.Signature, c.Payload)
}

// classicVersion is the version of bundles that asks for no more of a log's entry than what cosign keeps of it.
const classicVersion = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// certified returns the signature as the bundle that it would have been.
func (c *classicClaim) certified() (*certified, error) {
	if len(c.Certificate) == 0 {
		return nil, nil // there is none
	}
	leaf, err := parseCertificates("certificate", c.Certificate)
	if err != nil {
		return nil, err
	}
	entries, err := parseEntry(c.RekorBundle)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(c.Payload)
	same, err := bundle.NewBundle(&protobundle.Bundle{
		MediaType: classicVersion,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf[0].Raw}},
			TlogEntries: entries,
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     c.Signature.Signature,
		}},
	})
	if err != nil {
		return nil, err
	}
	intermediates, err := parseIntermediates(c.Chain)
	if err != nil {
		return nil, err
	}
	return &certified{
		entity:   &chained{Bundle: same, intermediates: intermediates},
		artifact: verify.WithArtifact(bytes.NewReader(c.Payload)),
	}, nil
}

// chained is a bundle with more certificates than the one that signed.
type chained struct {
	*bundle.Bundle
	intermediates []*x509.Certificate
}

// VerificationContent returns the certificates.
func (c *chained) VerificationContent() (verify.VerificationContent, error) {
	content, err := c.Bundle.VerificationContent()
	if err != nil {
		return nil, err
	}
	return &chainedContent{content, c.intermediates}, nil
}

type chainedContent struct {
	verify.VerificationContent
	intermediates []*x509.Certificate
}

// Intermediates returns certificates that may be between the one that signed and a root.
func (c *chainedContent) Intermediates() []*x509.Certificate { return c.intermediates }

// maxCertificates is how many there may be in a chain.
const maxCertificates = 10

func parseCertificates(what string, data []byte) ([]*x509.Certificate, error) {
	certificates, err := cryptoutils.UnmarshalCertificatesFromPEMLimited(data, maxCertificates)
	if err != nil || len(certificates) == 0 {
		return nil, fmt.Errorf("its %s is not PEM of at most %d certificates", what, maxCertificates)
	}
	return certificates, nil
}

// parseIntermediates returns those of a chain that are not roots: roots are trusted for being in the policy alone.
func parseIntermediates(chain []byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, nil
	}
	certificates, err := parseCertificates("chain", chain)
	if err != nil {
		return nil, err
	}
	var intermediates []*x509.Certificate
	for _, certificate := range certificates {
		if certificate.IsCA && !bytes.Equal(certificate.RawSubject, certificate.RawIssuer) {
			intermediates = append(intermediates, certificate)
		}
	}
	return intermediates, nil
}

// rekorBundle is what cosign keeps of a log's entry.
type rekorBundle struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           []byte `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	}
}

// parseEntry returns the log's entry as a bundle has it, none if there is no entry.
func parseEntry(data []byte) ([]*protorekor.TransparencyLogEntry, error) {
	if len(data) == 0 {
		return nil, nil
	}
	entry, kind := rekorBundle{}, protorekor.KindVersion{}
	if err := json.Unmarshal(data, &entry); err != nil {
		return nil, errors.New("its entry of a transparency log is not JSON as cosign writes it")
	}
	id, err := hex.DecodeString(entry.Payload.LogID)
	if err != nil {
		return nil, errors.New("its entry of a transparency log has no valid logID")
	}
	if kind.Kind, kind.Version, err = kindOf(entry.Payload.Body); err != nil {
		return nil, err
	}
	return []*protorekor.TransparencyLogEntry{{
		LogIndex:          entry.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &kind,
		IntegratedTime:    entry.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: entry.SignedEntryTimestamp},
		CanonicalizedBody: entry.Payload.Body,
	}}, nil
}

// kindOf returns the kind of an entry, and its version.
func kindOf(body []byte) (kind, version string, err error) {
	var head struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return "", "", errors.New("its entry of a transparency log has a body that is not JSON")
	}
	return head.Kind, head.APIVersion, nil
}
