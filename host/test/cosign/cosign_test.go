package cosign

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v3/pkg/cosign"
	"github.com/sigstore/cosign/v3/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v3/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v3/pkg/oci/remote"
	"github.com/sigstore/cosign/v3/pkg/oci/static"
	"github.com/sigstore/cosign/v3/pkg/types"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

const secret = "a secret"

func password() ([]byte, error)        { return []byte(secret), nil }
func passwordFor(bool) ([]byte, error) { return password() }

// push pushes an image to a new registry, and returns its reference by digest.
func push(t *testing.T) name.Digest {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	image := must[v1.Image](t)(random.Image(64, 1))
	tag := must[name.Tag](t)(name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/team/module:v1"))
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	return tag.Digest(must[v1.Hash](t)(image.Digest()).String())
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// TestTheirs has cosign make a key and a signature in each form, attached to an image in a registry. Ours is given what the
// registry has.
func TestTheirs(t *testing.T) {
	keys, err := cosign.GenerateKeyPair(passwordFor)
	if err != nil {
		t.Fatal(err)
	}
	pair := &keypair{SignerVerifier: must[sigstore.SignerVerifier](t)(cosign.LoadPrivateKey(keys.PrivateBytes, []byte(secret), nil))}
	tests := map[string]struct {
		reason string
		attach func(*testing.T, *keypair, name.Digest)
		fetch  func(*testing.T, name.Digest) []signature.Signature
	}{
		"classic": {"cosign 2, and cosign 3 when it is asked to", attachClassic, fetchClassic},
		"bundle":  {"cosign 3", attachBundle, fetchBundles},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			image := push(t)
			tt.attach(t, pair, image)
			signatures := tt.fetch(t, image)
			verifier := must[*signature.Verifier](t)(signature.NewVerifier(signature.Policy{Keys: []signature.Key{{Name: "theirs", PEM: keys.PublicBytes}}}))
			if _, err := verifier.Verify(image.DigestStr(), signatures); err != nil {
				t.Errorf("%s: %v", tt.reason, err)
			}
			if got, err := verifier.Verify(push(t).DigestStr(), signatures); err == nil {
				t.Errorf("it is accepted for another image: %+v", got)
			}
		})
	}
}

func attachClassic(t *testing.T, pair *keypair, image name.Digest) {
	t.Helper()
	signed := must[[]byte](t)(payload.Cosign{Image: image, ClaimedIdentity: image.Context().Name()}.MarshalJSON())
	raw := must[[]byte](t)(pair.SignMessage(bytes.NewReader(signed)))
	attach(t, image, signed, raw)
}

// attach attaches a signature as cosign does.
func attach(t *testing.T, image name.Digest, payload, raw []byte) {
	t.Helper()
	signed, err := static.NewSignature(payload, base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	entity, err := ociremote.SignedEntity(image)
	if err != nil {
		t.Fatal(err)
	}
	if entity, err = mutate.AttachSignatureToEntity(entity, signed); err != nil {
		t.Fatal(err)
	}
	if err := ociremote.WriteSignatures(image.Context(), entity); err != nil {
		t.Fatal(err)
	}
}

func attachBundle(t *testing.T, pair *keypair, image name.Digest) {
	t.Helper()
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		strings.TrimPrefix(image.DigestStr(), "sha256:"), types.CosignSignPredicateType)
	// No log and no timestamp authority.
	config := must[*root.SigningConfig](t)(root.NewSigningConfig(root.SigningConfigMediaType02, nil, nil, nil, root.ServiceConfiguration{}, nil, root.ServiceConfiguration{}))
	content := &sign.DSSEData{Data: []byte(statement), PayloadType: types.IntotoPayloadType}
	made := must[[]byte](t)(bundle.SignData(t.Context(), content, pair, "", nil, nil, config, nil, bundle.SignOptions{}))
	if err := ociremote.WriteAttestationNewBundleFormat(image, made, types.CosignSignPredicateType); err != nil {
		t.Fatal(err)
	}
}

// fetchClassic reads the image that has the signatures as its layers.
func fetchClassic(t *testing.T, image name.Digest) []signature.Signature {
	t.Helper()
	tag := must[name.Tag](t)(ociremote.SignatureTag(image))
	attached := must[v1.Image](t)(remote.Image(tag))
	var signatures []signature.Signature
	for _, layer := range must[*v1.Manifest](t)(attached.Manifest()).Layers {
		raw := must[[]byte](t)(base64.StdEncoding.DecodeString(layer.Annotations["dev.cosignproject.cosign/signature"]))
		signatures = append(signatures, signature.Signature{Payload: read(t, attached, layer.Digest), Signature: raw})
	}
	return signatures
}

// fetchBundles reads the bundles that refer to the image.
func fetchBundles(t *testing.T, image name.Digest) []signature.Signature {
	t.Helper()
	index := must[v1.ImageIndex](t)(remote.Referrers(image))
	var signatures []signature.Signature
	for _, referrer := range must[*v1.IndexManifest](t)(index.IndexManifest()).Manifests {
		attached := must[v1.Image](t)(remote.Image(image.Digest(referrer.Digest.String())))
		for _, layer := range must[*v1.Manifest](t)(attached.Manifest()).Layers {
			signatures = append(signatures, signature.Signature{Bundle: read(t, attached, layer.Digest)})
		}
	}
	return signatures
}

func read(t *testing.T, image v1.Image, digest v1.Hash) []byte {
	t.Helper()
	layer := must[v1.Layer](t)(image.LayerByDigest(digest))
	content := must[io.ReadCloser](t)(layer.Compressed())
	defer func() { _ = content.Close() }() // it was only read
	return must[[]byte](t)(io.ReadAll(content))
}

// TestOurs has ours make a key and a signature. cosign's library reads the key, and verifies the signature in a registry.
func TestOurs(t *testing.T) {
	private, public, err := signature.GenerateKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.LoadPrivateKey(private, []byte(secret), nil); err != nil {
		t.Errorf("cosign cannot read the key: %v", err)
	}
	key := must[*signature.PrivateKey](t)(signature.ParsePrivateKey(private, password))
	image := push(t)
	signed := must[signature.Signature](t)(signature.Sign(key, image.DigestStr(), image.Context().Name()))
	attach(t, image, signed.Payload, signed.Signature)

	believed := must[*cosign.CheckOpts](t)(optionsOf(public))
	if _, _, err := cosign.VerifyImageSignatures(t.Context(), image, believed); err != nil {
		t.Errorf("cosign does not accept it: %v", err)
	}
	_, stranger, err := signature.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cosign.VerifyImageSignatures(t.Context(), image, must[*cosign.CheckOpts](t)(optionsOf(stranger))); err == nil {
		t.Error("cosign accepts it as anybody's")
	}
}

// optionsOf is what cosign verify has with --key and --insecure-ignore-tlog.
func optionsOf(publicPEM []byte) (*cosign.CheckOpts, error) {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, err
	}
	verifier, err := sigstore.LoadDefaultVerifier(public)
	if err != nil {
		return nil, err
	}
	return &cosign.CheckOpts{SigVerifier: verifier, IgnoreTlog: true, ClaimVerifier: cosign.SimpleClaimVerifier}, nil
}

// TestTheirKeyFile signs with a key that cosign made.
func TestTheirKeyFile(t *testing.T) {
	keys, err := cosign.GenerateKeyPair(passwordFor)
	if err != nil {
		t.Fatal(err)
	}
	key := must[*signature.PrivateKey](t)(signature.ParsePrivateKey(keys.PrivateBytes, password))
	image := push(t)
	signed := must[signature.Signature](t)(signature.Sign(key, image.DigestStr(), image.Context().Name()))
	attach(t, image, signed.Payload, signed.Signature)
	if _, _, err := cosign.VerifyImageSignatures(t.Context(), image, must[*cosign.CheckOpts](t)(optionsOf(keys.PublicBytes))); err != nil {
		t.Error(err)
	}
}
