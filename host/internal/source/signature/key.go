package signature

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// maxKey is the most that is read of a key, in bytes: an RSA key of 4096 bits has 3 KiB.
const maxKey = 32 << 10

// The types of PEM blocks.
const (
	pemPublic          = "PUBLIC KEY"
	pemPublicRSA       = "RSA PUBLIC KEY"
	pemCertificate     = "CERTIFICATE"
	pemPrivate         = "PRIVATE KEY"
	pemPrivateEC       = "EC PRIVATE KEY"
	pemPrivateRSA      = "RSA PRIVATE KEY"
	pemEncrypted       = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemEncryptedBefore = "ENCRYPTED COSIGN PRIVATE KEY" // cosign 1
)

// GenerateKey returns a new pair of keys for ECDSA P-256, in the form of cosign's key files. The private one is encrypted
// with the password, which may be empty, as in cosign.
func GenerateKey(password []byte) (privatePEM, publicPEM []byte, err error) {
	give := func(bool) ([]byte, error) { return notNil(password), nil }
	privatePEM, publicPEM, err = cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), give)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return privatePEM, publicPEM, nil
}

// notNil returns the password such that an empty one encrypts too: none at all would leave the key as it is.
func notNil(password []byte) []byte {
	return append([]byte{}, password...)
}

// PrivateKey is a key to sign with.
type PrivateKey struct {
	signer sigstore.Signer
}

// ParsePrivateKey reads a private key from PEM: cosign's encrypted form, PKCS #8, or the older forms of EC and RSA keys. It
// asks for the password only if the key is encrypted.
func ParsePrivateKey(data []byte, password func() ([]byte, error)) (*PrivateKey, error) {
	block, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	encrypted := block.Type == pemEncrypted || block.Type == pemEncryptedBefore
	if err := checkPrivateType(block, encrypted); err != nil {
		return nil, err
	}
	var secret []byte
	if encrypted {
		if secret, err = password(); err != nil {
			return nil, err
		}
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, func(bool) ([]byte, error) { return notNil(secret), nil })
	switch {
	case err != nil && encrypted:
		return nil, errors.New("cannot decrypt the key: the password is wrong, or the file is damaged")
	case err != nil:
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	return newPrivateKey(key)
}

func checkPrivateType(block *pem.Block, encrypted bool) error {
	switch {
	case encrypted:
		return nil
	case block.Type == pemPublic || block.Type == pemPublicRSA:
		return errors.New("it is a public key, and signing needs the private one: wasmloop keygen names it PREFIX.key")
	case block.Type != pemPrivate && block.Type != pemPrivateEC && block.Type != pemPrivateRSA:
		return fmt.Errorf("it is PEM of the type %q, and not a private key of wasmloop keygen, cosign, PKCS #8 or EC", block.Type)
	case block.Headers["DEK-Info"] != "":
		return errors.New("it is encrypted in a form that is not safe: convert it with openssl pkcs8 -topk8 -nocrypt, then cosign import-key-pair")
	}
	return nil
}

func newPrivateKey(key crypto.PrivateKey) (*PrivateKey, error) {
	pair, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign: want an ECDSA, RSA or Ed25519 key", key)
	}
	if _, err := newKey("", pair.Public()); err != nil {
		return nil, err
	}
	// What cosign verify takes for any key by default.
	signer, err := sigstore.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key: %w", err)
	}
	return &PrivateKey{signer: signer}, nil
}

// decodePEM decodes a file that has one key.
func decodePEM(data []byte) (*pem.Block, error) {
	if len(data) > maxKey {
		return nil, fmt.Errorf("it is larger than %d KiB, so it is no key", maxKey>>10)
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is not PEM: a key starts with -----BEGIN")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it has more than one key in it, or something else: give one key for each file")
	}
	return block, nil
}

// key is a public key that a policy names, with the ways in which keys of its kind sign.
type key struct {
	name   string
	public crypto.PublicKey
	// classic are the ways to sign a payload: for some keys, releases of cosign differ in the hash.
	classic []sigstore.Verifier
	// envelope and message are the ways to sign the two kinds of bundles.
	envelope, message sigstore.Verifier
}

// label is what errors and verifications call the key.
func (k *key) label() string { return "key " + k.name }

// parseKey reads a public key from PEM.
func parseKey(name string, data []byte) (*key, error) {
	block, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(block.Type, pemPrivate):
		return nil, errors.New("it is a private key, and verifying needs the public one: wasmloop keygen names it PREFIX.pub")
	case block.Type == pemCertificate:
		return nil, errors.New("it is a certificate, and not a public key: take its key out with openssl x509 -pubkey -noout")
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("it is not a public key: %w", err)
	}
	return newKey(name, public)
}

func newKey(name string, public crypto.PublicKey) (*key, error) {
	k := &key{name: name, public: public}
	var err error
	if k.envelope, err = sigstore.LoadDefaultVerifier(public); err != nil {
		return nil, fmt.Errorf("keys of this kind are not supported: want ECDSA P-256, P-384 or P-521, RSA of 2048, 3072 or 4096 bits, or Ed25519: %w", err)
	}
	if k.message, err = sigstore.LoadDefaultVerifier(public, options.WithED25519ph()); err != nil {
		return nil, err
	}
	plain, err := sigstore.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	k.classic = []sigstore.Verifier{plain, k.message}
	return k, nil
}

// verifies says whether the signature of these bytes is the key's.
func (k *key) verifies(signature, signed []byte) bool {
	return slices.ContainsFunc(k.classic, func(verifier sigstore.Verifier) bool {
		return verifier.VerifySignature(bytes.NewReader(signature), bytes.NewReader(signed)) == nil
	})
}

// trusted returns the key as what a bundle is verified with, whatever name the bundle has for it.
func (k *key) trusted(isEnvelope bool) root.TrustedMaterial {
	verifier := k.message
	if isEnvelope {
		verifier = k.envelope
	}
	forever := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return forever, nil })
}
