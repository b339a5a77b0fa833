package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
)

// keypair is a key file of cosign's as its library signs bundles with it, ECDSA P-256.
type keypair struct {
	sigstore.SignerVerifier
}

// GetHashAlgorithm returns SHA-256.
func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm returns ECDSA P-256.
func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint returns a name of the key, which proves nothing.
func (k *keypair) GetHint() []byte { return []byte("a hint") }

// GetKeyAlgorithm returns the family of keys.
func (k *keypair) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey returns the public key, which these keys always have.
func (k *keypair) GetPublicKey() crypto.PublicKey {
	public, err := k.PublicKey()
	if err != nil {
		panic(err)
	}
	return public
}

// GetPublicKeyPem returns the public key as PEM.
func (k *keypair) GetPublicKeyPem() (string, error) {
	data, err := cryptoutils.MarshalPublicKeyToPEM(k.GetPublicKey())
	return string(data), err
}

// SignData returns the signature of data, and its digest.
func (k *keypair) SignData(_ context.Context, data []byte) (signed, digest []byte, err error) {
	sum := sha256.Sum256(data)
	signed, err = k.SignMessage(bytes.NewReader(data))
	return signed, sum[:], err
}
