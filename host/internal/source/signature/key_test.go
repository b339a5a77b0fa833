package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeyFiles makes a key, signs with it, and verifies.
func TestKeyFiles(t *testing.T) {
	for name, secret := range map[string]string{"with a password": "a secret", "without": ""} {
		t.Run(name, func(t *testing.T) {
			privatePEM, publicPEM, err := GenerateKey([]byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			if block, _ := pem.Decode(privatePEM); block == nil || block.Type != pemEncrypted {
				t.Fatalf("cosign reads no other form: got %s", privatePEM)
			}
			private, err := ParsePrivateKey(privatePEM, password(secret))
			if err != nil {
				t.Fatal(err)
			}
			signature := (&pair{private: private}).sign(t, digest)
			verifier := newVerifier(t, Policy{Keys: []Key{{"new", publicPEM}}})
			if _, err := verifier.Verify(digest, []Signature{signature}); err != nil {
				t.Error(err)
			}
			if _, err := ParsePrivateKey(privatePEM, password(secret+"x")); err == nil {
				t.Error("a wrong password is not noticed")
			}
		})
	}
}

// generated are private keys of all kinds.
var generated = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for name, curve := range map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		keys[name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	for name, bits := range map[string]int{"RSA 1024": 1024, "RSA 2048": 2048} {
		keys[name] = must(rsa.GenerateKey(rand.Reader, bits))
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	keys["Ed25519"] = must(key, err)
	return keys
})

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// TestKindsOfKeys signs with keys of all kinds, in all forms that a key can.
func TestKindsOfKeys(t *testing.T) {
	refused := map[string]bool{"P-224": true, "RSA 1024": true}
	for name, key := range generated() {
		t.Run(name, func(t *testing.T) {
			if refused[name] {
				if _, err := newPrivateKey(key); err == nil {
					t.Error("it is too weak to sign with")
				}
				if _, err := newKey(name, key.Public()); err == nil {
					t.Error("it is too weak to be believed")
				}
				return
			}
			pair := pairOf(t, key)
			verifier := newVerifier(t, Policy{Keys: []Key{{"it", pair.publicPEM}}})
			signatures := []Signature{pair.sign(t, digest)}
			if name != "P-384" && name != "P-521" { // in bundles they sign another hash than in Sign
				signatures = append(signatures, pair.bundleOf(t, digest, signPredicate))
			}
			for _, signature := range signatures {
				if _, err := verifier.Verify(digest, []Signature{signature}); err != nil {
					t.Errorf("bundle: %t: %v", signature.Bundle != nil, err)
				}
				if _, err := verifier.Verify(other, []Signature{signature}); err == nil {
					t.Errorf("bundle: %t: it is accepted for another manifest", signature.Bundle != nil)
				}
			}
		})
	}
}

// TestEmptyMessage is about keys that cannot sign a digest: their signature of nothing must not be one of everything.
func TestEmptyMessage(t *testing.T) {
	for name, key := range generated() {
		if name == "P-224" || name == "RSA 1024" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			pair := pairOf(t, key)
			verifier := newVerifier(t, Policy{Keys: []Key{{"it", pair.publicPEM}}})
			if _, err := verifier.Verify(digest, []Signature{pair.messageOf(t, nil, sumOf(digest))}); err == nil {
				t.Error("a signature of nothing is accepted for a manifest")
			}
		})
	}
}

// pemOf returns a block of a type with a key in PKCS #8 or PKIX.
func pemOf(t *testing.T, kind string, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParsePrivateKey(t *testing.T) {
	keys := generated()
	elliptic, err := x509.MarshalECPrivateKey(keys["P-256"].(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	plain := pemOf(t, pemPrivate, keys["P-256"])
	encrypted, _, err := GenerateKey([]byte("a secret"))
	if err != nil {
		t.Fatal(err)
	}
	before := []byte(strings.ReplaceAll(string(encrypted), "SIGSTORE", "COSIGN"))
	noPassword := errors.New("no password")
	unasked := func() ([]byte, error) { return nil, noPassword }
	tests := map[string]struct {
		reason   string
		data     []byte
		password func() ([]byte, error)
		want     string // empty: it is read
	}{
		"PKCS #8":           {"it is not encrypted, so nobody is asked", plain, unasked, ""},
		"PKCS #8 of RSA":    {"it is not encrypted, so nobody is asked", pemOf(t, pemPrivate, keys["RSA 2048"]), unasked, ""},
		"EC":                {"openssl ecparam writes it", pem.EncodeToMemory(&pem.Block{Type: pemPrivateEC, Bytes: elliptic}), unasked, ""},
		"RSA":               {"openssl genrsa -traditional writes it", pem.EncodeToMemory(&pem.Block{Type: pemPrivateRSA, Bytes: x509.MarshalPKCS1PrivateKey(keys["RSA 2048"].(*rsa.PrivateKey))}), unasked, ""},
		"encrypted":         {"keygen writes it", encrypted, password("a secret"), ""},
		"by cosign 1":       {"such keys are in use", before, password("a secret"), ""},
		"wrong password":    {"a typo is the usual mistake", encrypted, password("a secrte"), "the password is wrong"},
		"no password":       {"the fault is passed on", encrypted, unasked, noPassword.Error()},
		"damaged":           {"it cannot be told from a wrong password", pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: []byte("{}")}), password(""), "or the file is damaged"},
		"costly":            {"its file says how much work decrypting is", pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: []byte(`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":"AA=="},"cipher":{"name":"nacl/secretbox","nonce":"AA=="},"ciphertext":"AA=="}`)}), password(""), "or the file is damaged"},
		"nothing":           {"it is empty", nil, unasked, "it is not PEM"},
		"text":              {"a wrong path is the usual mistake", []byte("apiVersion: v1"), unasked, "it is not PEM"},
		"too large":         {"it is no key", append(make([]byte, maxKey), plain...), unasked, "it is larger than 32 KiB"},
		"two keys":          {"which is meant?", append(plain, plain...), unasked, "more than one key"},
		"public":            {"the wrong one of two files", pemOf(t, pemPublic, keys["P-256"].Public()), unasked, "it is a public key, and signing needs the private one"},
		"certificate":       {"it cannot sign", pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: []byte("a")}), unasked, `it is PEM of the type "CERTIFICATE"`},
		"PKCS #8 encrypted": {"how much work decrypting is has no bound", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("a")}), unasked, `it is PEM of the type "ENCRYPTED PRIVATE KEY"`},
		"old encryption":    {"it can be guessed", pem.EncodeToMemory(&pem.Block{Type: pemPrivateEC, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-CBC,00"}, Bytes: elliptic}), unasked, "encrypted in a form that is not safe"},
		"no key in it":      {"it is damaged", pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: []byte("a")}), unasked, "cannot read the key"},
		"weak":              {"it can be guessed", pemOf(t, pemPrivate, keys["P-224"]), unasked, "keys of this kind are not supported"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePrivateKey(tt.data, tt.password)
			if tt.want == "" && (err != nil || got == nil) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got error %v, want %q", tt.reason, err, tt.want)
			}
		})
	}
}

func TestParseKey(t *testing.T) {
	keys := generated()
	public := pemOf(t, pemPublic, keys["P-256"].Public())
	encrypted, _, err := GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		data   []byte
		want   string // empty: it is read
	}{
		"ECDSA":       {"cosign writes it", public, ""},
		"RSA":         {"key services have them", pemOf(t, pemPublic, keys["RSA 2048"].Public()), ""},
		"RSA, PKCS 1": {"openssl rsa -RSAPublicKey_out writes it", pem.EncodeToMemory(&pem.Block{Type: pemPublicRSA, Bytes: x509.MarshalPKCS1PublicKey(&keys["RSA 2048"].(*rsa.PrivateKey).PublicKey)}), ""},
		"Ed25519":     {"key services have them", pemOf(t, pemPublic, keys["Ed25519"].Public()), ""},
		"nothing":     {"it is empty", nil, "it is not PEM"},
		"too large":   {"it is no key", make([]byte, maxKey+1), "it is larger than 32 KiB"},
		"two keys":    {"which is meant?", append(public, public...), "more than one key"},
		"private":     {"it must not be spread", pemOf(t, pemPrivate, keys["P-256"]), "it is a private key, and verifying needs the public one"},
		"encrypted":   {"it must not be spread", encrypted, "it is a private key, and verifying needs the public one"},
		"certificate": {"it would be trusted for ever", pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: []byte("a")}), "it is a certificate, and not a public key"},
		"of a log":    {"it is something else", pem.EncodeToMemory(&pem.Block{Type: "SIGNATURE", Bytes: []byte("a")}), "it is not a public key"},
		"damaged":     {"it is cut off", pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: []byte("a")}), "it is not a public key"},
		"weak":        {"it can be guessed", pemOf(t, pemPublic, keys["RSA 1024"].Public()), "keys of this kind are not supported"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseKey("it", tt.data)
			if tt.want == "" && (err != nil || got == nil) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got error %v, want %q", tt.reason, err, tt.want)
			}
		})
	}
}

func TestSign(t *testing.T) {
	key := newPair(t)
	got := key.sign(t, digest)
	want := `{"critical":{"identity":{"docker-reference":"` + reference + `"},"image":{"docker-manifest-digest":"` + digest +
		`"},"type":"cosign container image signature"},"optional":null}`
	if diff := cmp.Diff(want, string(got.Payload)); diff != "" {
		t.Errorf("it is not what cosign signs: -want +got:\n%s", diff)
	}
	for _, wrong := range []struct{ digest, reference string }{{"", reference}, {"sha256:12", reference}, {digest, ""}} {
		if got, err := Sign(key.private, wrong.digest, wrong.reference); err == nil {
			t.Errorf("%q, %q: got %s", wrong.digest, wrong.reference, got.Payload)
		}
	}
}
