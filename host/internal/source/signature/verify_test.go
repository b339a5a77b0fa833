package signature

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func newVerifier(tb testing.TB, policy Policy) *Verifier {
	tb.Helper()
	verifier, err := NewVerifier(policy)
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

// world is who may sign, and who may not.
type world struct {
	alice, bob, mallory *pair
	sigstore, elsewhere *instance
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	return &world{newPair(tb), newPair(tb), newPair(tb), newSigstore(tb), newSigstore(tb)}
}

var (
	byBuilder = Identity{Subject: builder, Issuer: issuer}
	byPattern = Identity{SubjectRegExp: ".+@example.com", IssuerRegExp: `https://.*\.example\.com`}
)

// keys is a policy that names Alice and Bob.
func (w *world) keys(require Require) Policy {
	return Policy{Keys: []Key{{"alice", w.alice.publicPEM}, {"bob", w.bob.publicPEM}}, Require: require}
}

// identity is a policy that names the builder.
func (w *world) identity(tb testing.TB, p parts) Policy {
	tb.Helper()
	return Policy{Identities: []Identity{byBuilder}, TrustedRoot: w.sigstore.trustedRoot(tb, p)}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	alice, bob := Signer{Name: "key alice"}, Signer{Name: "key bob"}
	certified := Signer{Name: "identity " + byBuilder.String(), Subject: builder, Issuer: issuer}
	matched := Signer{Name: "identity " + byPattern.String(), Subject: builder, Issuer: issuer}
	mixed := w.identity(t, everything)
	mixed.Keys, mixed.Require = []Key{{"alice", w.alice.publicPEM}}, All
	overlapping := w.identity(t, everything)
	overlapping.Identities, overlapping.Require = append(overlapping.Identities, byPattern), All
	rootAlone := everything
	rootAlone.withoutIntermediates = true
	broken := w.alice.sign(t, digest)
	broken.Signature = []byte("broken")

	tests := map[string]struct {
		reason     string
		policy     Policy
		signatures []Signature
		want       []Signer
	}{
		"key": {
			"the simplest case", w.keys(Any),
			[]Signature{w.alice.sign(t, digest)},
			[]Signer{alice},
		},
		"another key of the policy": {
			"any of them is enough", w.keys(""),
			[]Signature{w.bob.sign(t, digest)},
			[]Signer{bob},
		},
		"all keys": {
			"each has signed", w.keys(All),
			[]Signature{w.bob.sign(t, digest), w.alice.sign(t, digest)},
			[]Signer{bob, alice},
		},
		"signed twice": {
			"that is no harm", w.keys(All),
			[]Signature{w.bob.sign(t, digest), w.bob.sign(t, digest), w.alice.sign(t, digest)},
			[]Signer{bob, alice},
		},
		"beside broken ones": {
			"whoever may push could otherwise stop a module", w.keys(Any),
			[]Signature{{}, broken, w.mallory.sign(t, digest), w.alice.sign(t, other), {Bundle: []byte("{")}, w.alice.sign(t, digest)},
			[]Signer{alice},
		},
		"another reference": {
			"a copy in another registry is the same module", w.keys(Any),
			[]Signature{w.alice.signPayload(t, strings.ReplaceAll(string(w.alice.sign(t, digest).Payload), "registry.example.com", "mirror"))},
			[]Signer{alice},
		},
		"key in a bundle": {
			"cosign 3 writes that", w.keys(Any),
			[]Signature{w.alice.bundleOf(t, digest, signPredicate)},
			[]Signer{alice},
		},
		"certificate in the classic form": {
			"cosign 2 writes that", w.identity(t, everything),
			[]Signature{w.sigstore.classic(t, digest, builder, issuer)},
			[]Signer{certified},
		},
		"certificate with its chain": {
			"the root may know its own certificate alone", w.identity(t, rootAlone),
			[]Signature{w.sigstore.withChain(t, w.sigstore.classic(t, digest, builder, issuer))},
			[]Signer{certified},
		},
		"certificate and a key": {
			"the key decides if it is the policy's", w.keys(Any),
			[]Signature{w.sigstore.certify(t, w.alice.sign(t, digest))},
			[]Signer{alice},
		},
		"certificate in a bundle": {
			"cosign 3 writes that", w.identity(t, everything),
			[]Signature{w.sigstore.bundle(t, digest, signPredicate, proofs{entry: true})},
			[]Signer{certified},
		},
		"certificate with a timestamp": {
			"a private instance may have no log", w.identity(t, parts{authorities: true, timestamps: true}),
			[]Signature{w.sigstore.bundle(t, digest, signPredicate, proofs{timestamp: true})},
			[]Signer{certified},
		},
		"a key and a certificate": {
			"all is of both kinds", mixed,
			[]Signature{w.sigstore.bundle(t, digest, signPredicate, proofs{true, true}), w.alice.sign(t, digest)},
			[]Signer{certified, alice},
		},
		"two identities": {
			"one signature may be by both", overlapping,
			[]Signature{w.sigstore.classic(t, digest, builder, issuer)},
			[]Signer{certified, matched},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newVerifier(t, tt.policy).Verify(digest, tt.signatures)
			if err != nil {
				t.Fatalf("%s: %v", tt.reason, err)
			}
			if diff := cmp.Diff(&Verified{Signers: tt.want}, got, cmpopts.IgnoreFields(Signer{}, "Time")); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			for _, signer := range got.Signers {
				if signer.Time.IsZero() != strings.HasPrefix(signer.Name, "key") {
					t.Errorf("%s: the time of %s is %v", tt.reason, signer.Name, signer.Time)
				}
			}
		})
	}
}

// TestRefuses has one signature in each case, and why it does not count.
func TestRefuses(t *testing.T) {
	w := newWorld(t)
	keys, identity := w.keys(Any), w.identity(t, everything)
	noLogs := w.identity(t, parts{authorities: true, timestamps: true})
	foreign := Policy{Identities: []Identity{byBuilder}, TrustedRoot: w.elsewhere.trustedRoot(t, everything)}
	usurped := w.identity(t, parts{authorities: true, logs: true, timestamps: true, authority: w.elsewhere.authority()})
	classic := w.sigstore.classic(t, digest, builder, issuer)
	// changed is a signature that was changed after it was made.
	changed := func(s Signature, change func(*Signature)) Signature {
		change(&s)
		return s
	}
	sound := w.alice.sign(t, digest)

	tests := map[string]struct {
		reason    string
		policy    Policy
		signature Signature
		want      string
	}{
		"nothing":              {"it is no signature", keys, Signature{}, "it has neither a payload nor a bundle"},
		"another manifest":     {"a signature of one module is not one of another", keys, w.alice.sign(t, other), `it is of another manifest, "` + other},
		"another key":          {"the policy does not name it", keys, w.mallory.sign(t, digest), "it is by another key, or damaged"},
		"changed signature":    {"it is not what was made", keys, changed(sound, func(s *Signature) { s.Signature = append([]byte{}, s.Signature[1:]...) }), "it is by another key, or damaged"},
		"no signature":         {"a payload alone proves nothing", keys, changed(sound, func(s *Signature) { s.Signature = nil }), "it is by another key, or damaged"},
		"changed payload":      {"it is not what was signed", keys, changed(sound, func(s *Signature) { s.Payload = w.alice.sign(t, other).Payload }), "it is of another manifest"},
		"swapped payload":      {"the signature is of another one", keys, changed(w.alice.sign(t, other), func(s *Signature) { s.Payload = sound.Payload }), "it is by another key, or damaged"},
		"payload of no JSON":   {"cosign writes none", keys, w.alice.signPayload(t, digest), "its payload is not JSON"},
		"payload of a type":    {"the key may sign other things", keys, w.alice.signPayload(t, strings.Replace(string(sound.Payload), "cosign container", "atomic container", 1)), `its payload is of the type "atomic container image signature"`},
		"payload of no type":   {"the key may sign other things", keys, w.alice.signPayload(t, `{"critical":{"image":{"docker-manifest-digest":"`+digest+`"}}}`), `its payload is of the type ""`},
		"too large":            {"it is looked at no further", keys, changed(sound, func(s *Signature) { s.Chain = make([]byte, maxSignature) }), "it is larger than 256 KiB"},
		"both forms":           {"which of them is meant?", keys, changed(sound, func(s *Signature) { s.Bundle = []byte("{}") }), "it has a bundle beside a signature of cosign's classic form"},
		"certificate unwanted": {"the policy has keys alone", keys, classic, "it is with a certificate, and the policy names no identities"},
		"key unwanted":         {"the policy has identities alone", identity, sound, "it has no certificate, and the policy names no keys"},

		"bundle of no JSON":            {"it is damaged", keys, Signature{Bundle: []byte("bundle")}, "its bundle is not valid"},
		"bundle of nothing":            {"it is damaged", keys, Signature{Bundle: []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`)}, "its bundle is not valid"},
		"bundle of a later version":    {"it may mean something else", keys, changed(w.alice.bundleOf(t, digest, signPredicate), replace("bundle.v0.3", "bundle.v0.4")), "its bundle is not valid"},
		"bundle of another manifest":   {"a signature of one module is not one of another", keys, w.alice.bundleOf(t, other, signPredicate), "it is of another manifest"},
		"bundle by another key":        {"the policy does not name it", keys, w.mallory.bundleOf(t, digest, signPredicate), "it is by another key, or damaged"},
		"bundle of another statement":  {"that a module was scanned does not say that it may run", keys, w.alice.bundleOf(t, digest, "https://cosign.sigstore.dev/attestation/vuln/v1"), `it is a statement of the type "https://cosign.sigstore.dev/attestation/vuln/v1"`},
		"bundle of no statement":       {"nothing is said", keys, w.alice.bundleOf(t, digest, `"`), "its statement is not valid"},
		"message of another manifest":  {"a signature of one module is not one of another", keys, w.alice.messageOf(t, []byte("a"), []byte("b")), "it is of another manifest"},
		"message of other bytes":       {"it only says that it is of the manifest", keys, w.alice.messageOf(t, []byte("a"), sumOf(digest)), "it is by another key, or damaged"},
		"bundle with a certificate":    {"the policy has keys alone", keys, w.sigstore.bundle(t, digest, signPredicate, proofs{true, true}), "it is with a certificate, and the policy names no identities"},
		"bundle by a key, not a human": {"the policy has identities alone", identity, w.alice.bundleOf(t, digest, signPredicate), "it has no certificate, and the policy names no keys"},

		"another subject":              {"the policy does not name it", identity, w.sigstore.classic(t, digest, "x@example.com", issuer), "it is by x@example.com of " + issuer},
		"another issuer":               {"its word does not count", identity, w.sigstore.classic(t, digest, builder, "https://example.com"), "it is by " + builder + " of https://example.com"},
		"another authority, same log":  {"anybody can make certificates", usurped, classic, "leaf certificate verification failed"},
		"certificate of the past":      {"its key may be anybody's by now", identity, w.sigstore.classicAt(t, digest, builder, issuer, soon().Add(20*time.Minute)), "integrated time outside certificate validity"},
		"another authority":            {"anybody can make certificates", foreign, classic, "log"},
		"another authority, bundle":    {"anybody can make certificates", foreign, w.sigstore.bundle(t, digest, signPredicate, proofs{true, true}), "log"},
		"no proof of time":             {"the certificate is from long ago", identity, changed(classic, func(s *Signature) { s.RekorBundle = nil }), "not enough verified log entries"},
		"no proof of time, bundle":     {"the certificate is from long ago", identity, w.sigstore.bundle(t, digest, signPredicate, proofs{}), "not enough verified log entries"},
		"no entry, but a timestamp":    {"the root has a log, so that misuse is seen there", identity, w.sigstore.bundle(t, digest, signPredicate, proofs{timestamp: true}), "not enough verified log entries"},
		"no timestamp":                 {"the root has nothing else", noLogs, w.sigstore.bundle(t, digest, signPredicate, proofs{entry: true}), "timestamps"},
		"entry of another signature":   {"it proves nothing of this one", identity, changed(classic, func(s *Signature) { s.RekorBundle = w.sigstore.classic(t, digest, builder, issuer).RekorBundle }), "transparency log signature does not match"},
		"entry that was changed":       {"the log did not sign it", identity, changed(classic, replace(`"logIndex":1000`, `"logIndex":1001`)), "not enough verified log entries"},
		"entry of no JSON":             {"it is damaged", identity, changed(classic, func(s *Signature) { s.RekorBundle = []byte("entry") }), "its entry of a transparency log is not JSON"},
		"entry of no log":              {"it is damaged", identity, changed(classic, replace(`"logID":"`, `"logID":"x`)), "its entry of a transparency log has no valid logID"},
		"entry with no body":           {"it is damaged", identity, changed(classic, replace(`"body":"`, `"body":"AAAA`)), "its entry of a transparency log has a body that is not JSON"},
		"certificate of no PEM":        {"it is damaged", identity, changed(classic, func(s *Signature) { s.Certificate = []byte("certificate") }), "its certificate is not PEM"},
		"chain of no PEM":              {"it is damaged", identity, changed(classic, func(s *Signature) { s.Chain = []byte("chain") }), "its chain is not PEM"},
		"another person's certificate": {"the signature is not of its key", identity, changed(classic, func(s *Signature) { s.Certificate = w.sigstore.classic(t, digest, builder, issuer).Certificate }), "transparency log certificate does not match"},
		"certified key of another":     {"the certificate is not of the key that signed", identity, w.sigstore.certify(t, w.mallory.sign(t, digest)), "transparency log signature does not match"},
		"certified statement":          {"that a module was scanned does not say that it may run", identity, w.sigstore.bundle(t, digest, "https://slsa.dev/provenance/v1", proofs{true, true}), "it is a statement of the type"},
		"certified other manifest":     {"a signature of one module is not one of another", identity, w.sigstore.bundle(t, other, signPredicate, proofs{true, true}), "it is of another manifest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newVerifier(t, tt.policy).Verify(digest, []Signature{tt.signature})
			fault, ok := errors.AsType[*Error](err)
			if got != nil || !ok {
				t.Fatalf("%s: got %v and %v", tt.reason, got, err)
			}
			if fault.Unsigned() || len(fault.Refused) != 1 || !strings.Contains(fault.Refused[0].Reason, tt.want) {
				t.Errorf("%s: got %+v, want %q", tt.reason, fault.Refused, tt.want)
			}
		})
	}
}

// replace changes text in whatever part has it.
func replace(before, after string) func(*Signature) {
	return func(s *Signature) {
		for _, part := range []*[]byte{&s.RekorBundle, &s.Bundle} {
			*part = []byte(strings.Replace(string(*part), before, after, 1))
		}
	}
}

// TestRefusesAll is about all signatures of a module.
func TestRefusesAll(t *testing.T) {
	w := newWorld(t)
	alice, bob := "key alice", "key bob"
	anotherKey := "it is by another key, or damaged"
	tests := map[string]struct {
		reason     string
		require    Require
		signatures []Signature
		want       *Error
	}{
		"unsigned": {
			"what is not signed is not run", Any, nil,
			&Error{AnyOf: true, Missing: []string{alice, bob}},
		},
		"unsigned, all": {
			"what is not signed is not run", All, nil,
			&Error{Missing: []string{alice, bob}},
		},
		"too many": {
			"each costs time, and the registry is not trusted", Any, slices.Repeat([]Signature{w.alice.sign(t, digest)}, maxSignatures+1),
			&Error{AnyOf: true, Count: maxSignatures + 1, Missing: []string{alice, bob}},
		},
		"by others": {
			"each is told of", Any,
			[]Signature{w.mallory.sign(t, digest), w.mallory.bundleOf(t, digest, signPredicate)},
			&Error{AnyOf: true, Count: 2, Missing: []string{alice, bob}, Refused: []Refusal{{0, anotherKey}, {1, anotherKey}}},
		},
		"by one of all": {
			"the other is missing", All,
			[]Signature{w.mallory.sign(t, digest), w.bob.sign(t, digest)},
			&Error{Count: 2, Missing: []string{alice}, Refused: []Refusal{{0, anotherKey}}},
		},
		"twice by one of all": {
			"one person is not two", All,
			[]Signature{w.bob.sign(t, digest), w.bob.bundleOf(t, digest, signPredicate)},
			&Error{Count: 2, Missing: []string{alice}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.Digest = digest
			_, err := newVerifier(t, w.keys(tt.require)).Verify(digest, tt.signatures)
			fault, _ := errors.AsType[*Error](err)
			if diff := cmp.Diff(tt.want, fault); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestVerifyNeedsADigest(t *testing.T) {
	w := newWorld(t)
	for _, wrong := range []string{"", "latest", strings.ToUpper(digest), digest + "0", "sha512:" + strings.Repeat("a", 128), digest + "\n"} {
		if got, err := newVerifier(t, w.keys(Any)).Verify(wrong, []Signature{w.alice.signPayload(t, `{"critical":{"type":"`+payloadType+`","image":{"docker-manifest-digest":"`+wrong+`"}}}`)}); err == nil {
			t.Errorf("%q is no digest: got %v", wrong, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	refused := []Refusal{{0, "a"}, {1, "b"}, {2, "c"}, {3, "d"}, {4, "e"}, {5, "f"}, {6, "g"}}
	tests := map[string]struct {
		reason string
		err    *Error
		want   string
	}{
		"unsigned":     {"it says what to do", &Error{Digest: "D", AnyOf: true, Missing: []string{"key a", "key b"}}, "D is not signed: sign it by key a or key b"},
		"too many":     {"it says what to do", &Error{Digest: "D", Count: 101, Missing: []string{"key a"}}, "D has 101 signatures, and at most 100 are looked at: delete those that are not needed"},
		"some":         {"each has its reason", &Error{Digest: "D", Count: 3, Missing: []string{"key a", "key b"}, Refused: refused[1:2]}, "D has no valid signature by key a and by key b (signature 2: b): sign it so, or change who may sign"},
		"many":         {"a person reads it", &Error{Digest: "D", Count: 7, AnyOf: true, Missing: []string{"key a"}, Refused: refused}, "D has no valid signature by key a (signature 1: a; signature 2: b; signature 3: c; signature 4: d; signature 5: e; and 2 more): sign it so, or change who may sign"},
		"none refused": {"all others are by the same", &Error{Digest: "D", Count: 1, Missing: []string{"key a"}}, "D has no valid signature by key a: sign it so, or change who may sign"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.err.Error()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
	if got := brief(errors.New("a\x1b[2J\n" + strings.Repeat("é", maxReason))); len(got) > maxReason+len("…") || strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("what a stranger wrote must not move the cursor or fill the screen: got %q", got)
	}
}
