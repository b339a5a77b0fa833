package signature

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	reference = "registry.example.com/team/module"
	builder   = "builder@example.com"
	issuer    = "https://issuer.example.com"
)

// Two manifests.
var (
	digest = "sha256:" + strings.Repeat("a1", 32)
	other  = "sha256:" + strings.Repeat("b2", 32)
)

// soon is a time at which a certificate that is made now is valid.
func soon() time.Time { return time.Now().Add(5 * time.Minute) }

// pair is a new pair of keys.
type pair struct {
	private   *PrivateKey
	publicPEM []byte
}

func newPair(tb testing.TB) *pair {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // GenerateKey encrypts, which takes its time
	if err != nil {
		tb.Fatal(err)
	}
	return pairOf(tb, key)
}

func pairOf(tb testing.TB, key crypto.Signer) *pair {
	tb.Helper()
	private, err := newPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	publicPEM, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return &pair{private: private, publicPEM: publicPEM}
}

func password(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

func (p *pair) sign(tb testing.TB, digest string) Signature {
	tb.Helper()
	signature, err := Sign(p.private, digest, reference)
	if err != nil {
		tb.Fatal(err)
	}
	return signature
}

// signPayload signs whatever there is.
func (p *pair) signPayload(tb testing.TB, payload string) Signature {
	tb.Helper()
	return Signature{Payload: []byte(payload), Signature: p.signBytes(tb, []byte(payload))}
}

func (p *pair) signBytes(tb testing.TB, message []byte) []byte {
	tb.Helper()
	signature, err := p.private.signer.SignMessage(strings.NewReader(string(message)))
	if err != nil {
		tb.Fatal(err)
	}
	return signature
}

const inTotoType = "application/vnd.in-toto+json"

// statementOf is a statement as cosign signs it.
func statementOf(digest, predicate string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` +
		strings.TrimPrefix(digest, "sha256:") + `"}}],"predicateType":"` + predicate + `","predicate":{}}`)
}

// pae is what is signed of an envelope.
func pae(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(inTotoType), inTotoType, len(payload), payload)
}

// bundleOf is a bundle of a statement, signed with the key.
func (p *pair) bundleOf(tb testing.TB, digest, predicate string) Signature {
	tb.Helper()
	statement := statementOf(digest, predicate)
	return marshal(tb, &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: "a hint"}},
		},
		Content: envelopeOf(statement, p.signBytes(tb, pae(statement))),
	})
}

func envelopeOf(statement, signature []byte) *protobundle.Bundle_DsseEnvelope {
	return &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		Payload: statement, PayloadType: inTotoType, Signatures: []*protodsse.Signature{{Sig: signature}},
	}}
}

// messageOf is a bundle of a message, signed with the key.
func (p *pair) messageOf(tb testing.TB, message, sum []byte) Signature {
	tb.Helper()
	return marshal(tb, &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: "a hint"}},
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum},
			Signature:     p.signBytes(tb, message),
		}},
	})
}

// sumOf returns the bytes of a digest.
func sumOf(digest string) []byte {
	sum, _ := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	return sum
}

func marshal(tb testing.TB, b *protobundle.Bundle) Signature {
	tb.Helper()
	data, err := protojson.Marshal(b)
	if err != nil {
		tb.Fatal(err)
	}
	return Signature{Bundle: data}
}

// instance is one of Sigstore's services in memory.
type instance struct {
	*ca.VirtualSigstore
}

func newSigstore(tb testing.TB) *instance {
	tb.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		tb.Fatal(err)
	}
	return &instance{virtual}
}

// parts are what a trusted root is to have of an instance.
type parts struct {
	authorities, logs, timestamps bool
	// authority is another one instead.
	authority *root.FulcioCertificateAuthority
	// withoutIntermediates leaves the authority's root certificate alone.
	withoutIntermediates bool
	ctLogs               map[string]*root.TransparencyLog
}

// everything is what there is without certificate transparency, which certificates of the instance have no proof of.
var everything = parts{authorities: true, logs: true, timestamps: true}

// trustedRoot returns the instance's trusted root.
func (s *instance) trustedRoot(tb testing.TB, p parts) []byte {
	tb.Helper()
	var authorities []root.CertificateAuthority
	var timestamps []root.TimestampingAuthority
	var logs map[string]*root.TransparencyLog
	if p.authorities {
		authority := *cmp.Or(p.authority, s.authority())
		if p.withoutIntermediates {
			authority.Intermediates = nil
		}
		authorities = append(authorities, &authority)
	}
	if p.timestamps {
		timestamps = s.TimestampingAuthorities()
	}
	if p.logs {
		logs = s.RekorLogs()
	}
	for _, set := range []map[string]*root.TransparencyLog{logs, p.ctLogs} {
		for id, log := range set {
			raw, err := hex.DecodeString(id)
			if err != nil {
				tb.Fatal(err)
			}
			log.ID = raw
		}
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, p.ctLogs, timestamps, logs)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := trusted.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (s *instance) authority() *root.FulcioCertificateAuthority {
	return s.FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority)
}

// withChain adds the certificates above that of a signature, with their root.
func (s *instance) withChain(tb testing.TB, signature Signature) Signature {
	tb.Helper()
	chain, err := cryptoutils.MarshalCertificatesToPEM(append(s.authority().Intermediates, s.authority().Root))
	if err != nil {
		tb.Fatal(err)
	}
	signature.Chain = chain
	return signature
}

// certify puts a certificate and an entry of the log beside a signature that they are not about.
func (s *instance) certify(tb testing.TB, signature Signature) Signature {
	tb.Helper()
	strangers := s.classic(tb, digest, builder, issuer)
	signature.Certificate, signature.RekorBundle = strangers.Certificate, strangers.RekorBundle
	return signature
}

// classic signs in cosign's classic form, with a certificate and an entry of the log.
func (s *instance) classic(tb testing.TB, digest, subject, issuer string) Signature {
	tb.Helper()
	return s.classicAt(tb, digest, subject, issuer, soon())
}

func (s *instance) classicAt(tb testing.TB, digest, subject, issuer string, at time.Time) Signature {
	tb.Helper()
	payload, err := newPayload(digest, reference)
	if err != nil {
		tb.Fatal(err)
	}
	entity, err := s.SignAtTime(subject, issuer, payload, at)
	if err != nil {
		tb.Fatal(err)
	}
	content, err := entity.VerificationContent()
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := cryptoutils.MarshalCertificateToPEM(content.Certificate())
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := entity.SignatureContent()
	if err != nil {
		tb.Fatal(err)
	}
	entries, err := entity.TlogEntries()
	if err != nil {
		tb.Fatal(err)
	}
	return Signature{Payload: payload, Signature: signed.Signature(), Certificate: certificate, RekorBundle: s.rekorBundle(tb, entries[0])}
}

// rekorBundle is what cosign keeps of an entry.
func (s *instance) rekorBundle(tb testing.TB, entry *tlog.Entry) []byte {
	tb.Helper()
	payload := rekorPayload(entry)
	data, err := json.Marshal(map[string]any{"SignedEntryTimestamp": s.promise(tb, entry), "Payload": payload})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func rekorPayload(entry *tlog.Entry) tlog.RekorPayload {
	return tlog.RekorPayload{
		Body: entry.Body(), IntegratedTime: entry.IntegratedTime().Unix(), LogIndex: entry.LogIndex(), LogID: hex.EncodeToString([]byte(entry.LogKeyID())),
	}
}

func (s *instance) promise(tb testing.TB, entry *tlog.Entry) []byte {
	tb.Helper()
	promise, err := s.RekorSignPayload(rekorPayload(entry))
	if err != nil {
		tb.Fatal(err)
	}
	return promise
}

// proofs are what a bundle has to show when its certificate was used.
type proofs struct {
	entry, timestamp bool
}

// bundle signs a statement with a certificate.
func (s *instance) bundle(tb testing.TB, digest, predicate string, p proofs) Signature {
	tb.Helper()
	entity, err := s.AttestAtTime(builder, issuer, statementOf(digest, predicate), soon(), true)
	if err != nil {
		tb.Fatal(err)
	}
	content, err := entity.VerificationContent()
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := entity.SignatureContent()
	if err != nil {
		tb.Fatal(err)
	}
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: content.Certificate().Raw}},
	}
	if p.entry {
		entries, err := entity.TlogEntries()
		if err != nil {
			tb.Fatal(err)
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{s.bundleEntry(tb, entries[0])}
	}
	if p.timestamp {
		material.TimestampVerificationData = s.timestamp(tb, signed.Signature())
	}
	payload, err := base64.StdEncoding.DecodeString(signed.EnvelopeContent().RawEnvelope().Payload)
	if err != nil {
		tb.Fatal(err)
	}
	return marshal(tb, &protobundle.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: material,
		Content:              envelopeOf(payload, signed.Signature()),
	})
}

func (s *instance) timestamp(tb testing.TB, signature []byte) *protobundle.TimestampVerificationData {
	tb.Helper()
	response, err := s.TimestampResponse(signature)
	if err != nil {
		tb.Fatal(err)
	}
	return &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: response}},
	}
}

// bundleEntry completes an entry: the library leaves parts of it out.
func (s *instance) bundleEntry(tb testing.TB, entry *tlog.Entry) *protorekor.TransparencyLogEntry {
	tb.Helper()
	whole := entry.TransparencyLogEntry()
	whole.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	whole.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: s.promise(tb, entry)}
	return whole
}
