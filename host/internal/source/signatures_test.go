package source

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	ggcrremote "github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var someSignature = Signature{
	Payload: []byte(`{"critical": {}}`), Signature: []byte{1, 2, 3},
	Certificate: []byte("a certificate"), Chain: []byte("a chain"), RekorBundle: []byte("{}"),
}

// attachBundle pushes a bundle as cosign does.
func attachBundle(t *testing.T, c *Client, module *Module, bundle string) {
	t.Helper()
	ref, err := Parse(module.Pinned)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := c.pull(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDocument(ocispec.Manifest{
		ArtifactType: mediaTypeBundle, Config: ocispec.DescriptorEmptyJSON, Subject: &subject.descriptor,
		Layers: []ocispec.Descriptor{describe(mediaTypeBundle, []byte(bundle))},
	}, []byte("{}"), []byte(bundle))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pushTo(t.Context(), ref, d, ""); err != nil {
		t.Fatal(err)
	}
}

// signatures returns a module's signatures.
func signatures(t *testing.T, c *Client, url string) []Signature {
	t.Helper()
	subject, err := c.Signatures(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return subject.Signatures
}

func TestSignatures(t *testing.T) {
	for name, options := range map[string][]registry.Option{
		"referrers":               {registry.WithReferrersSupport(true)},
		"the tag instead of them": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, options...)
			c := newClient(t, Options{}, r)
			module, other := push(t, c, r.url("acme/site:1"), "abc"), push(t, c, r.url("acme/site:2"), "def")
			if got := signatures(t, c, module.Pinned); got != nil {
				t.Errorf("before there are any, there are %v", got)
			}
			second := Signature{Payload: someSignature.Payload, Signature: []byte{4}}
			for _, signature := range []Signature{someSignature, second, someSignature} {
				if err := c.Attach(t.Context(), r.url("acme/site:1"), signature); err != nil {
					t.Fatal(err)
				}
			}
			attachBundle(t, c, module, `{"a": "bundle"}`)
			attachBundle(t, c, module, `{"another": "bundle"}`)
			attachBundle(t, c, other, `{"a": "bundle of another"}`)
			got := signatures(t, c, module.Pinned)
			if len(got) == 4 && string(got[2].Bundle) > string(got[3].Bundle) { // they come in any order
				got[2], got[3] = got[3], got[2]
			}
			want := []Signature{someSignature, second, {Bundle: []byte(`{"a": "bundle"}`)}, {Bundle: []byte(`{"another": "bundle"}`)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestAttachAsCosign looks at an attached signature with a client that knows nothing of it.
func TestAttachAsCosign(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	module := push(t, c, r.url("acme/site:1"), "abc")
	if err := c.Attach(t.Context(), module.Pinned, someSignature); err != nil {
		t.Fatal(err)
	}
	image, err := ggcrremote.Image(reference(t, r.url("acme/site:sha256-"+module.Manifest[len("sha256:"):]+".sig")), ggcrOptions(t, r)...)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("its config is %+v, %v", config, err)
	}
	want := map[string]string{
		"dev.cosignproject.cosign/signature": "AQID", "dev.sigstore.cosign/certificate": "a certificate",
		"dev.sigstore.cosign/chain": "a chain", "dev.sigstore.cosign/bundle": "{}",
	}
	if diff := cmp.Diff(want, manifest.Layers[0].Annotations); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if manifest.Layers[0].MediaType != "application/vnd.dev.cosign.simplesigning.v1+json" {
		t.Errorf("it is a %s", manifest.Layers[0].MediaType)
	}
}

func TestAttachRefuses(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	push(t, c, r.url("acme/site:1"), "abc")
	tests := map[string]struct {
		reason, url string
		signature   Signature
		want        string
	}{
		"nothing":     {"it would say that there is one", r.url("acme/site:1"), Signature{}, "it has no payload"},
		"a bundle":    {"it is attached in another way", r.url("acme/site:1"), Signature{Bundle: []byte("{}")}, "it has no payload"},
		"a file":      {"there is nowhere to attach it", "file:///a.wasm", someSignature, "only modules of registries"},
		"not there":   {"it would be of nothing", r.url("acme/site:2"), someSignature, "there is no such thing"},
		"no such URL": {"it is none", "acme/site", someSignature, "want file://"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fails(t, c.Attach(t.Context(), tt.url, tt.signature), tt.want)
		})
	}
}

// TestTooManySignatures finds more than anybody will look at.
func TestTooManySignatures(t *testing.T) {
	layers := make([]ocispec.Descriptor, maxSignatures+1)
	for i := range layers {
		layers[i] = describe(mediaTypeSimpleSigning, []byte(fmt.Sprint(i)))
	}
	large := describe(mediaTypeSimpleSigning, nil)
	large.Size = maxSignature + 1
	many := large
	many.Size = maxSignature
	tests := map[string]struct {
		layers []ocispec.Descriptor
		want   string
	}{
		"too many":       {layers, "more than 100 signatures"},
		"too large":      {[]ocispec.Descriptor{large}, "are the limit"},
		"large together": {[]ocispec.Descriptor{many, many, many, many, many, many, many, many, many, many, many, many, many, many, many, many, many}, "or 16 MiB of them"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			c := newClient(t, Options{}, r)
			module := push(t, c, r.url("acme/site:1"), "abc")
			raw, err := json.Marshal(ocispec.Manifest{
				MediaType: ocispec.MediaTypeImageManifest, Config: describe(ocispec.MediaTypeImageConfig, []byte("{}")), Layers: tt.layers,
			})
			serve(r, ".sig", raws(ocispec.MediaTypeImageManifest, string(raw), err))
			_, err = c.Signatures(t.Context(), module.Pinned)
			fails(t, err, tt.want)
			fails(t, c.Attach(t.Context(), module.Pinned, someSignature), tt.want)
		})
	}
}
