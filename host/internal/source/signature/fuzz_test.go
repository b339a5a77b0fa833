package signature

import "testing"

// FuzzVerify is about what a hostile registry may hand over: none of it is a signature of the manifest.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	policy := w.identity(f, everything)
	policy.Keys = []Key{{"alice", w.alice.publicPEM}}
	verifier := newVerifier(f, policy)
	// Valid, but of another manifest, or by somebody else: what is wrong must not be mended by changing it.
	for _, seed := range []Signature{
		w.alice.sign(f, other),
		w.mallory.sign(f, digest),
		w.alice.bundleOf(f, other, signPredicate),
		w.mallory.bundleOf(f, digest, signPredicate),
		w.alice.bundleOf(f, digest, "https://slsa.dev/provenance/v1"),
		w.alice.messageOf(f, []byte("a"), sumOf(digest)),
		w.sigstore.classic(f, other, builder, issuer),
		w.elsewhere.classic(f, digest, builder, issuer),
		w.sigstore.withChain(f, w.sigstore.certify(f, w.mallory.sign(f, digest))),
		w.sigstore.classic(f, digest, "x@example.com", issuer),
		w.sigstore.bundle(f, other, signPredicate, proofs{true, true}),
		w.elsewhere.bundle(f, digest, signPredicate, proofs{true, true}),
	} {
		f.Add(seed.Payload, seed.Signature, seed.Certificate, seed.Chain, seed.RekorBundle, seed.Bundle)
	}
	f.Fuzz(func(t *testing.T, payload, signature, certificate, chain, rekorBundle, bundle []byte) {
		hostile := Signature{payload, signature, certificate, chain, rekorBundle, bundle}
		if got, err := verifier.Verify(digest, []Signature{hostile}); err == nil {
			t.Errorf("accepted: %+v", got)
		}
	})
}
