package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types of Wasm artifacts, as the CNCF's layout has them, and of what is taken for one.
const (
	mediaTypeConfig      = "application/vnd.wasm.config.v0+json"
	mediaTypeWasm        = "application/wasm"
	mediaTypeWasmOld     = "application/vnd.wasm.content.layer.v1+wasm"
	mediaTypeDockerImage = "application/vnd.docker.container.image.v1+json"

	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// maxConfig bounds an artifact's config, in bytes.
const maxConfig = 1 << 20

// artifact is a module as registries, the store and archives have it.
type artifact struct {
	*document
	// signatures are documents too. asked is false if nobody has asked for them yet.
	signatures []*document
	asked      bool
}

// plainArtifact returns a module without a manifest, as web servers have them.
func plainArtifact(wasm []byte) *artifact {
	return &artifact{document: &document{descriptor: describe(mediaTypeWasm, wasm), raw: wasm}}
}

func (a *artifact) isPlain() bool { return a.descriptor.MediaType == mediaTypeWasm }

// wasmConfig is the config of a Wasm artifact.
type wasmConfig struct {
	Created      time.Time `json:"created"`
	Author       string    `json:"author,omitempty"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	LayerDigests []string  `json:"layerDigests"`
}

// pack makes an artifact of a module. Readers want a time of creation: without one it is the epoch, so that the same module
// always has the same manifest.
func pack(wasm []byte, options PushOptions) (*artifact, error) {
	layer := describe(mediaTypeWasm, wasm)
	created := options.Created.UTC()
	if options.Created.IsZero() {
		created = time.Unix(0, 0).UTC()
	}
	config, err := json.Marshal(wasmConfig{
		Created: created, Author: options.Author, Architecture: "wasm", OS: "wasip1", LayerDigests: []string{string(layer.Digest)},
	})
	if err != nil {
		return nil, err
	}
	packed, err := newDocument(ocispec.Manifest{
		Config: describe(mediaTypeConfig, config), Layers: []ocispec.Descriptor{layer}, Annotations: options.Annotations,
	}, config, wasm)
	if err != nil {
		return nil, err
	}
	return &artifact{document: packed}, nil
}

// checkLayout says whether a document is a Wasm artifact.
func (d *document) checkLayout() error {
	layers := d.manifest.Layers
	if len(layers) == 1 && isWasm(layers[0].MediaType) {
		if layers[0].Size == 0 {
			return errors.New("its module is empty")
		}
		return errors.Join(checkPart(d.manifest.Config, maxConfig), checkPart(layers[0], maxModule))
	}
	switch config := d.manifest.Config.MediaType; {
	case config == ocispec.MediaTypeImageConfig || config == mediaTypeDockerImage:
		return errors.New("it is a container image, not a Wasm artifact: push the module itself with wasmloop push")
	case len(layers) != 1:
		return fmt.Errorf("it has %d layers, and a Wasm artifact has one", len(layers))
	default:
		return fmt.Errorf("its layer is a %q, not a Wasm module (%s)", layers[0].MediaType, mediaTypeWasm)
	}
}

func isWasm(mediaType string) bool {
	return mediaType == mediaTypeWasm || mediaType == mediaTypeWasmOld
}

// module returns what is handed out of an artifact.
func (a *artifact) module(ref Ref) *Module {
	wasm := a.blobs[a.manifest.Layers[0].Digest]
	manifest := string(a.descriptor.Digest)
	return &Module{
		Bytes: wasm, Digest: digestOf(wasm), Manifest: manifest, Pinned: ref.pinned(manifest).String(), Annotations: a.manifest.Annotations,
	}
}
