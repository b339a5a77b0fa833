package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// authority makes certificates that are in a log of certificates.
type authority struct {
	root, issuer *x509.Certificate
	issuerKey    *ecdsa.PrivateKey
	logKey       *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	rootCertificate, rootKey, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	issuer, issuerKey, err := ca.GenerateFulcioIntermediate(rootCertificate, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{rootCertificate, issuer, issuerKey, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

// parts is what a trusted root has of the authority, its log, and the instance's timestamps.
func (a *authority) parts(t *testing.T) parts {
	t.Helper()
	id := a.logID(t)
	return parts{
		authorities: true,
		timestamps:  true,
		authority: &root.FulcioCertificateAuthority{
			Root: a.root, Intermediates: []*x509.Certificate{a.issuer}, ValidityPeriodStart: a.root.NotBefore, ValidityPeriodEnd: a.root.NotAfter,
		},
		ctLogs: map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {
			ID: id[:], HashFunc: crypto.SHA256, PublicKey: a.logKey.Public(), ValidityPeriodStart: a.root.NotBefore, ValidityPeriodEnd: a.root.NotAfter,
		}},
	}
}

func (a *authority) logID(t *testing.T) [sha256.Size]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(a.logKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(der)
}

// certify makes the certificate that the log sees, and then the same with what the log said.
func (a *authority) certify(t *testing.T, key *ecdsa.PrivateKey, logKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(7),
		EmailAddresses:  []string{builder},
		NotBefore:       time.Now().Add(-time.Minute),
		NotAfter:        time.Now().Add(9 * time.Minute),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}},
	}
	seen := a.create(t, template, key)
	if logKey == nil {
		return seen
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
		Id: asn1.ObjectIdentifier(ctx509.OIDExtensionCTSCT), Value: a.promise(t, seen, logKey),
	})
	return a.create(t, template, key)
}

func (a *authority) create(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.issuer, key.Public(), a.issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(der))
}

// promise is the log's promise to show the certificate, as certificates have it.
func (a *authority) promise(t *testing.T, seen *x509.Certificate, logKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	promise := ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1, LogID: ct.LogID{KeyID: a.logID(t)}, Timestamp: uint64(time.Now().UnixMilli()),
	}
	signed, err := ct.SerializeSCTSignatureInput(promise, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: promise.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(a.issuer.RawSubjectPublicKeyInfo), TBSCertificate: seen.RawTBSCertificate},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(signed)
	promise.Signature = ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA},
		Signature: must(logKey.Sign(rand.Reader, sum[:], crypto.SHA256)),
	}
	list := must(x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&promise}))
	return must(asn1.Marshal(must(tls.Marshal(*list))))
}

// TestCertificateTransparency is about roots that have logs of certificates: what is not in one is not believed.
func TestCertificateTransparency(t *testing.T) {
	sigstore, authority := newSigstore(t), newAuthority(t)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	stranger := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	verifier := newVerifier(t, Policy{Identities: []Identity{byBuilder}, TrustedRoot: sigstore.trustedRoot(t, authority.parts(t))})
	tests := map[string]struct {
		reason string
		logKey *ecdsa.PrivateKey // nil: the certificate is in no log
		want   string            // empty: it is accepted
	}{
		"in the log": {"its owner can see what was made in their name", authority.logKey, ""},
		"in no log":  {"nobody would notice", nil, "signed certificate timestamp"},
		"a lie":      {"the log has not said so", stranger, "signed certificate timestamp"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			statement := statementOf(digest, signPredicate)
			signature := pairOf(t, key).signBytes(t, pae(statement))
			signed := marshal(t, &protobundle.Bundle{
				MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
				VerificationMaterial: &protobundle.VerificationMaterial{
					Content: &protobundle.VerificationMaterial_Certificate{
						Certificate: &protocommon.X509Certificate{RawBytes: authority.certify(t, key, tt.logKey).Raw},
					},
					TimestampVerificationData: sigstore.timestamp(t, signature),
				},
				Content: envelopeOf(statement, signature),
			})
			_, err := verifier.Verify(digest, []Signature{signed})
			if tt.want == "" && err != nil {
				t.Errorf("%s: %v", tt.reason, err)
			}
			if fault, ok := errors.AsType[*Error](err); tt.want != "" && (!ok || !strings.Contains(fault.Refused[0].Reason, tt.want)) {
				t.Errorf("%s: got %v, want %q", tt.reason, err, tt.want)
			}
		})
	}
}
