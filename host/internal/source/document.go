package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// document is a manifest with the blobs that it names: a module, or signatures of one.
type document struct {
	descriptor ocispec.Descriptor
	raw        []byte
	manifest   ocispec.Manifest
	blobs      map[digest.Digest][]byte
}

// newDocument makes a document of a manifest and blobs.
func newDocument(manifest ocispec.Manifest, blobs ...[]byte) (*document, error) {
	manifest.Versioned = specs.Versioned{SchemaVersion: 2}
	manifest.MediaType = ocispec.MediaTypeImageManifest
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	d := &document{descriptor: describe(ocispec.MediaTypeImageManifest, raw), raw: raw, manifest: manifest, blobs: map[digest.Digest][]byte{}}
	for _, blob := range blobs {
		d.blobs[digest.FromBytes(blob)] = blob
	}
	return d, nil
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// parseDocument reads a manifest, whose digest was compared already. Its blobs are still to come.
func parseDocument(descriptor ocispec.Descriptor, raw []byte) (*document, error) {
	d := &document{descriptor: descriptor, raw: raw, blobs: map[digest.Digest][]byte{}}
	var index struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := errors.Join(json.Unmarshal(raw, &d.manifest), json.Unmarshal(raw, &index)); err != nil {
		return nil, fmt.Errorf("its manifest is not valid: %w", err)
	}
	switch {
	case descriptor.MediaType == ocispec.MediaTypeImageIndex || descriptor.MediaType == mediaTypeDockerList:
		return nil, errors.New("it is an image index, not a Wasm artifact: name what it lists by its digest")
	case descriptor.MediaType != ocispec.MediaTypeImageManifest && descriptor.MediaType != mediaTypeDockerManifest:
		return nil, fmt.Errorf("it is a %q, not a Wasm artifact", descriptor.MediaType)
	case d.manifest.MediaType != "" && d.manifest.MediaType != descriptor.MediaType || len(index.Manifests) > 0:
		return nil, errors.New("its manifest can be read as one of another type, which is a trick")
	}
	return d, nil
}

// parts are the config and the layers.
func (d *document) parts() []ocispec.Descriptor {
	return append([]ocispec.Descriptor{d.manifest.Config}, d.manifest.Layers...)
}

// fill reads the blobs from where they are.
func (d *document) fill(read func(ocispec.Descriptor) ([]byte, error)) error {
	for _, part := range d.parts() {
		if _, there := d.blobs[part.Digest]; there {
			continue
		}
		blob, err := read(part)
		if err != nil {
			return err
		}
		d.blobs[part.Digest] = blob
	}
	return nil
}

// checkPart looks at what a manifest promises of a blob, before anybody reads it.
func checkPart(part ocispec.Descriptor, limit int64) error {
	switch {
	case !digestForm.MatchString(string(part.Digest)):
		return fmt.Errorf("its manifest has the digest %q, which is none of sha256", part.Digest)
	case part.Size < 0:
		return fmt.Errorf("its manifest has a size of %d bytes for %s", part.Size, part.Digest)
	case part.Size > limit:
		return fmt.Errorf("its manifest has %d bytes for %s, and %d are the limit", part.Size, part.Digest, limit)
	}
	return nil
}

// readManifest reads the manifest that a tag or digest names.
func readManifest(ctx context.Context, place *orasremote.Repository, reference string) (*document, error) {
	descriptor, body, err := place.FetchReference(ctx, reference)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read
	if err := checkPart(descriptor, maxManifest); err != nil {
		return nil, err
	}
	raw, err := readAll(body, descriptor)
	if err != nil {
		return nil, fmt.Errorf("cannot read the manifest: %w", err)
	}
	return parseDocument(descriptor, raw)
}

// readBlob reads a blob that checkPart has found no fault with.
func readBlob(ctx context.Context, place *orasremote.Repository, part ocispec.Descriptor, watch func(io.Reader) io.Reader) ([]byte, error) {
	if part.Size == 0 { // which some servers will not be asked for
		return readAll(bytes.NewReader(nil), part)
	}
	body, err := place.Blobs().Fetch(ctx, part)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read
	if watch == nil {
		return readAll(body, part)
	}
	return readAll(watch(body), part)
}

// readAll reads what has just the digest and size that were promised.
func readAll(r io.Reader, part ocispec.Descriptor) ([]byte, error) {
	data, err := content.ReadAll(r, part)
	switch {
	case errors.Is(err, content.ErrMismatchedDigest):
		return nil, fmt.Errorf("what the server sent for %s has another digest", part.Digest)
	case errors.Is(err, content.ErrTrailingData):
		return nil, fmt.Errorf("the server sent more than the %d bytes of %s", part.Size, part.Digest)
	}
	return data, err
}

// push brings a document to a repository: blobs first, so that nobody sees a manifest of what is not there.
func (d *document) push(ctx context.Context, place *orasremote.Repository, tag string) error {
	for _, part := range d.parts() {
		if err := pushBlob(ctx, place, part, d.blobs[part.Digest]); err != nil {
			return fmt.Errorf("cannot push %s: %w", part.Digest, err)
		}
	}
	reference := tag
	if reference == "" {
		reference = string(d.descriptor.Digest)
	}
	if err := place.PushReference(ctx, d.descriptor, bytes.NewReader(d.raw), reference); err != nil {
		return fmt.Errorf("cannot push the manifest: %w", err)
	}
	return nil
}

func pushBlob(ctx context.Context, place *orasremote.Repository, part ocispec.Descriptor, blob []byte) error {
	if there, err := place.Blobs().Exists(ctx, part); err != nil || there {
		return err
	}
	err := place.Blobs().Push(ctx, part, bytes.NewReader(blob))
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return err
}
