package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// What cosign calls things in registries.
const (
	mediaTypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	mediaTypeBundle        = "application/vnd.dev.sigstore.bundle.v0.3+json"

	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationRekorBundle = "dev.sigstore.cosign/bundle"
)

// The bounds of what is attached to a module.
const (
	maxSignatures     = 100
	maxSignature      = 1 << 20  // bytes, of one
	maxSignatureBytes = 16 << 20 // of all of them
)

// Signature is a signature as it was found, in one of the two forms that cosign writes: with a Payload that is signed, or in a
// Bundle.
type Signature struct {
	// Payload is the JSON document that says which manifest is signed, and Signature is the signature of its bytes.
	Payload, Signature []byte
	// Certificate and Chain (PEM) are of the key, and RekorBundle (JSON) is the transparency log's receipt, if there are such.
	Certificate, Chain, RekorBundle []byte
	// Bundle is a Sigstore bundle (JSON), which has all of this in it.
	Bundle []byte
}

// Signatures returns a registry's module with the signatures that are attached to it now. Nothing about them is checked.
func (c *Client) Signatures(ctx context.Context, url string) (*Subject, error) {
	ref, err := c.pinnedRef(ctx, url)
	if err != nil {
		return nil, err
	}
	var found []*document
	err = c.within(ctx, func(ctx context.Context) (err error) {
		found, err = c.findSignatures(ctx, ref, ocispec.Descriptor{Digest: digest.Digest(ref.Digest)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot get the signatures of %s: %w", ref, err)
	}
	return &Subject{URL: url, Digest: ref.Digest, Signatures: signaturesOf(found)}, nil
}

// pinnedRef returns a registry's source, pinned to what it is now.
func (c *Client) pinnedRef(ctx context.Context, url string) (Ref, error) {
	ref, err := Parse(url)
	if err != nil {
		return Ref{}, err
	}
	if ref.Scheme != schemeOCI {
		return Ref{}, fmt.Errorf("%s: %w", ref, errNoRegistry)
	}
	pinned, err := c.Resolve(ctx, url)
	if err != nil {
		return Ref{}, err
	}
	return Parse(pinned)
}

// findSignatures gets what is attached to a manifest: from the first place that has anything.
func (c *Client) findSignatures(ctx context.Context, ref Ref, subject ocispec.Descriptor) (found []*document, err error) {
	err = c.newSession().try(ctx, ref, func(place *orasremote.Repository) error {
		budget := &budget{signatures: maxSignatures, bytes: maxSignatureBytes}
		simple, err := findSimple(ctx, place, subject, budget)
		if err != nil {
			return err
		}
		bundles, err := findBundles(ctx, place, subject, budget)
		if err != nil {
			return err
		}
		found = slices.Concat(simple, bundles)
		if len(found) == 0 && place.Reference.Registry != ref.Host {
			return errors.New("it has no signatures") // the next place may
		}
		return nil
	})
	return found, err
}

// budget is how much of what is attached will still be read.
type budget struct {
	signatures int
	bytes      int64
}

// spend looks at a document before its blobs are read.
func (b *budget) spend(d *document) error {
	b.signatures -= len(d.manifest.Layers)
	b.bytes -= int64(len(d.raw))
	for _, part := range d.parts() {
		if err := checkPart(part, maxSignature); err != nil {
			return err
		}
		b.bytes -= part.Size
	}
	if b.signatures < 0 || b.bytes < 0 {
		return fmt.Errorf("there are more than %d signatures or %d MiB of them", maxSignatures, maxSignatureBytes>>20)
	}
	return nil
}

// signatureTag is the tag that cosign attaches signatures by.
func signatureTag(subject digest.Digest) string {
	return strings.Replace(string(subject), ":", "-", 1) + ".sig"
}

func findSimple(ctx context.Context, place *orasremote.Repository, subject ocispec.Descriptor, budget *budget) ([]*document, error) {
	found, err := readSigned(ctx, place, signatureTag(subject.Digest), budget)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []*document{found}, nil
}

// readSigned reads a document of signatures.
func readSigned(ctx context.Context, place *orasremote.Repository, reference string, budget *budget) (*document, error) {
	d, err := readManifest(ctx, place, reference)
	if err != nil {
		return nil, err
	}
	return d, fillSigned(ctx, place, d, budget)
}

func fillSigned(ctx context.Context, place *orasremote.Repository, d *document, budget *budget) error {
	if err := budget.spend(d); err != nil {
		return err
	}
	return d.fill(func(part ocispec.Descriptor) ([]byte, error) { return readBlob(ctx, place, part, nil) })
}

// findBundles asks for referrers: in the way of OCI 1.1, or by a tag where the registry does not know of it.
func findBundles(ctx context.Context, place *orasremote.Repository, subject ocispec.Descriptor, budget *budget) (found []*document, err error) {
	var listed []ocispec.Descriptor
	err = place.Referrers(ctx, subject, "", func(page []ocispec.Descriptor) error {
		listed = append(listed, slices.DeleteFunc(page, isNoBundle)...)
		if len(listed) > maxSignatures {
			return fmt.Errorf("there are more than %d bundles", maxSignatures)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, referrer := range listed {
		d, err := readBundle(ctx, place, referrer, subject, budget)
		if err != nil {
			return nil, err
		}
		if d != nil {
			found = append(found, d)
		}
	}
	return found, nil
}

// isNoBundle says whether a referrer is listed as something else. Some registries list the config's type for all of them.
func isNoBundle(referrer ocispec.Descriptor) bool {
	return referrer.ArtifactType != mediaTypeBundle && referrer.ArtifactType != ocispec.MediaTypeEmptyJSON && referrer.ArtifactType != ""
}

// readBundle reads a referrer, and returns nil if it is no bundle after all.
func readBundle(ctx context.Context, place *orasremote.Repository, referrer, subject ocispec.Descriptor, budget *budget) (*document, error) {
	if referrer.MediaType != ocispec.MediaTypeImageManifest {
		return nil, nil
	}
	if err := checkPart(referrer, maxManifest); err != nil {
		return nil, err
	}
	d, err := readManifest(ctx, place, string(referrer.Digest))
	if err != nil {
		return nil, err
	}
	if d.manifest.ArtifactType != mediaTypeBundle || d.manifest.Subject == nil || d.manifest.Subject.Digest != subject.Digest {
		return nil, nil
	}
	return d, fillSigned(ctx, place, d, budget)
}

// signaturesOf takes the signatures out of their documents.
func signaturesOf(documents []*document) []Signature {
	var list []Signature
	for _, d := range documents {
		for _, layer := range d.manifest.Layers {
			switch layer.MediaType {
			case mediaTypeSimpleSigning:
				list = append(list, simpleSignature(layer, d.blobs[layer.Digest]))
			case mediaTypeBundle:
				list = append(list, Signature{Bundle: d.blobs[layer.Digest]})
			}
		}
	}
	return list
}

func simpleSignature(layer ocispec.Descriptor, payload []byte) Signature {
	text := func(name string) []byte {
		if value := layer.Annotations[name]; value != "" {
			return []byte(value)
		}
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(layer.Annotations[annotationSignature])
	if err != nil {
		decoded = nil // which verifies nothing
	}
	return Signature{
		Payload: payload, Signature: decoded,
		Certificate: text(annotationCertificate), Chain: text(annotationChain), RekorBundle: text(annotationRekorBundle),
	}
}

// Attach attaches a signature with a payload to a registry's module, as cosign does, beside those that are there. A registry
// cannot be asked to do that in one step: of two that are attached at the same time one may be lost.
func (c *Client) Attach(ctx context.Context, url string, signature Signature) error {
	if len(signature.Payload) == 0 || len(signature.Signature) == 0 {
		return errors.New("cannot attach the signature: it has no payload, or nothing that signs it")
	}
	ref, err := c.pinnedRef(ctx, url)
	if err != nil {
		return err
	}
	if err := c.within(ctx, func(ctx context.Context) error { return c.attach(ctx, ref, signature) }); err != nil {
		return fmt.Errorf("cannot attach the signature to %s: %w", ref, err)
	}
	return nil
}

func (c *Client) attach(ctx context.Context, ref Ref, signature Signature) error {
	place, err := c.newSession().own(ref)
	if err != nil {
		return err
	}
	subject := ocispec.Descriptor{Digest: digest.Digest(ref.Digest)}
	present, err := findSimple(ctx, place, subject, &budget{signatures: maxSignatures - 1, bytes: maxSignatureBytes})
	if err != nil {
		return remote(ref.Host, err)
	}
	if slices.ContainsFunc(signaturesOf(present), signature.same) {
		return nil
	}
	d, err := addSignature(present, signature)
	if err != nil {
		return err
	}
	return remote(ref.Host, d.push(ctx, place, signatureTag(subject.Digest)))
}

func (s Signature) same(other Signature) bool {
	return bytes.Equal(s.Payload, other.Payload) && bytes.Equal(s.Signature, other.Signature) && bytes.Equal(s.Certificate, other.Certificate)
}

// addSignature returns a document with the signatures that are there and one more.
func addSignature(present []*document, signature Signature) (*document, error) {
	layer := describe(mediaTypeSimpleSigning, signature.Payload)
	layer.Annotations = map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(signature.Signature)}
	for name, value := range map[string][]byte{
		annotationCertificate: signature.Certificate, annotationChain: signature.Chain, annotationRekorBundle: signature.RekorBundle,
	} {
		if len(value) > 0 {
			layer.Annotations[name] = string(value)
		}
	}
	var layers []ocispec.Descriptor
	blobs := [][]byte{signature.Payload}
	for _, d := range present {
		layers = append(layers, d.manifest.Layers...)
		for _, blob := range d.blobs {
			blobs = append(blobs, blob)
		}
	}
	layers = append(layers, layer)
	config, err := imageConfig(layers)
	if err != nil {
		return nil, err
	}
	return newDocument(ocispec.Manifest{Config: describe(ocispec.MediaTypeImageConfig, config), Layers: layers}, append(blobs, config)...)
}

// imageConfig returns the config that makes an image of signatures, which is how cosign has them.
func imageConfig(layers []ocispec.Descriptor) ([]byte, error) {
	image := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	for _, layer := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, layer.Digest)
	}
	return json.Marshal(image)
}
