package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// platformImage is the image for one platform.
type platformImage struct {
	*content

	platform v1.Platform
	image    v1.Image
}

func buildImage(ctx context.Context, s *source, platform v1.Platform) (*platformImage, error) {
	built, err := s.build(ctx, platform)
	if err != nil {
		return nil, err
	}
	layer, err := newLayer(built.files, s.created)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: s.created}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: platform.Architecture, OS: platform.OS, Created: created, Config: s.config(),
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: created, CreatedBy: "deploy/image/build", Comment: "the host, a sample module, CA certificates"},
	})
	return &platformImage{built, platform, image}, err
}

// config is how the image is run.
func (s *source) config() v1.Config {
	return v1.Config{
		User:       fmt.Sprintf("%d:%d", user, user),
		Entrypoint: []string{"/wasmloop"},
		Cmd:        []string{"help"},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "wasmloop",
			"org.opencontainers.image.description": "Kubernetes controllers as WebAssembly modules, run by one host",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.source":      "https://github.com/wasmloop/wasmloop",
			"org.opencontainers.image.version":     s.version,
			"org.opencontainers.image.revision":    s.revision,
			"org.opencontainers.image.created":     s.created.Format(time.RFC3339),
		},
	}
}

func newLayer(files []file, modified time.Time) (v1.Layer, error) {
	archive, err := writeTar(files, modified)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}

func newTag(reference string) (name.Tag, error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return tag, fmt.Errorf("%q is no name of an image: %w", reference, err)
	}
	return tag, nil
}

// newIndex returns the image for all platforms.
func newIndex(built []*platformImage) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range built {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image, Descriptor: v1.Descriptor{Platform: &b.platform}})
	}
	return index
}

func writeLayout(folder, tag string, built []*platformImage) error {
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendIndex(newIndex(built), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
}

func push(ctx context.Context, reference string, built []*platformImage) error {
	tag, err := newTag(reference)
	if err != nil {
		return err
	}
	index := newIndex(built)
	if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("cannot push %s: %w", reference, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Printf("pushed %s@%s\n", reference, digest)
	return nil
}

// layerSize returns the size of the layers, compressed.
func layerSize(image v1.Image) (size int64, err error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, err
	}
	for _, layer := range layers {
		compressed, err := layer.Size()
		if err != nil {
			return 0, err
		}
		size += compressed
	}
	return size, nil
}
