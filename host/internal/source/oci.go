package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// PushOptions are the optional settings of Push.
type PushOptions struct {
	// Annotations describe the module, by the names that OCI has for them: org.opencontainers.image.version and so on.
	Annotations map[string]string
	// Author and Created are what the artifact says of where it comes from. With the same of these, the same module has the
	// same manifest each time.
	Author  string
	Created time.Time
}

// Push brings a module to a registry, as a Wasm artifact that others can read too.
func (c *Client) Push(ctx context.Context, url string, wasm []byte, options PushOptions) (*Module, error) {
	ref, err := Parse(url)
	if err != nil {
		return nil, err
	}
	switch {
	case ref.Scheme != schemeOCI:
		return nil, fmt.Errorf("cannot push to %s: want %s", ref, "oci://REGISTRY/REPOSITORY:TAG")
	case ref.Digest != "" || ref.Tag == "":
		return nil, fmt.Errorf("cannot push to %s: want a tag and no digest, which follows from the module", ref)
	case len(wasm) == 0 || len(wasm) > maxModule:
		return nil, fmt.Errorf("cannot push to %s: the module has %d bytes, and may have between 1 and %d", ref, len(wasm), maxModule)
	}
	packed, err := pack(wasm, options)
	if err != nil {
		return nil, fmt.Errorf("cannot push to %s: %w", ref, err)
	}
	if err := c.within(ctx, func(ctx context.Context) error { return c.pushTo(ctx, ref, packed.document, ref.Tag) }); err != nil {
		return nil, fmt.Errorf("cannot push to %s: %w", ref, err)
	}
	return packed.module(ref), nil
}

// pushTo brings a document to the repository of ref.
func (c *Client) pushTo(ctx context.Context, ref Ref, d *document, tag string) error {
	place, err := c.newSession().own(ref)
	if err != nil {
		return err
	}
	return remote(ref.Host, d.push(ctx, place, tag))
}

// fetchOCI fetches a module from the store or from a registry.
func (c *Client) fetchOCI(ctx context.Context, ref Ref) (*Module, error) {
	found, stale, err := c.obtain(ctx, ref)
	if err != nil {
		return nil, err
	}
	if c.options.Policy.Verify != nil {
		if err := c.verifyOCI(ctx, ref, found); err != nil {
			return nil, err
		}
	}
	module := found.module(ref)
	module.Stale = stale
	return module, nil
}

// obtain gets the artifact of a source. One that is pinned and in the store needs no registry. For a tag the registry is
// asked, and only if that is not to be had, the store has what the tag was when last asked: stale says why.
func (c *Client) obtain(ctx context.Context, ref Ref) (found *artifact, stale, err error) {
	if stored := c.store.get(ref.Digest); stored != nil && !stored.isPlain() {
		return stored, nil, nil
	}
	found, err = c.pull(ctx, ref)
	if err == nil {
		c.keep(ref, found)
		return found, nil, nil
	}
	if ref.Digest == "" && isDown(err) {
		if stored := c.store.last(ref); stored != nil {
			return stored, err, nil
		}
	}
	return nil, nil, err
}

// keep puts an artifact into the store, if there is one. Without it the module is as good.
func (c *Client) keep(ref Ref, a *artifact) {
	if err := c.store.put(ref, a); err != nil {
		c.options.Warn(fmt.Errorf("cannot keep %s in the store of modules: %w", ref, err))
	}
}

// pull gets an artifact from a registry: its manifest, and of the rest what is not in the store already.
func (c *Client) pull(ctx context.Context, ref Ref) (found *artifact, err error) {
	err = c.newSession().try(ctx, ref, func(place *orasremote.Repository) error {
		manifest, err := readManifest(ctx, place, ref.reference())
		if err != nil {
			return err
		}
		if ref.Digest != "" && ref.Digest != string(manifest.descriptor.Digest) {
			return fmt.Errorf("it sent another manifest, %s", manifest.descriptor.Digest)
		}
		if err := manifest.checkLayout(); err != nil {
			return err
		}
		if found = c.store.get(string(manifest.descriptor.Digest)); found != nil && !found.isPlain() {
			return nil
		}
		found = &artifact{document: manifest}
		return manifest.fill(func(part ocispec.Descriptor) ([]byte, error) {
			return readBlob(ctx, place, part, func(r io.Reader) io.Reader { return c.progress(ref, r, part.Size) })
		})
	})
	return found, err
}

// verifyOCI has an artifact's signatures judged. Those in the store may be older than the ones that are meant, so before a
// module is refused for them the registry is asked again.
func (c *Client) verifyOCI(ctx context.Context, ref Ref, a *artifact) error {
	fresh := !a.asked
	if fresh {
		if err := c.ask(ctx, ref, a); err != nil {
			return err
		}
	}
	err := c.judge(ctx, ref, a)
	if err == nil || fresh {
		return err
	}
	if late := c.ask(ctx, ref, a); late != nil {
		return fmt.Errorf("%w (and newer ones are not to be had: %w)", err, late)
	}
	return c.judge(ctx, ref, a)
}

func (c *Client) judge(ctx context.Context, ref Ref, a *artifact) error {
	return c.options.Policy.verify(ctx, Subject{URL: ref.String(), Digest: string(a.descriptor.Digest), Signatures: signaturesOf(a.signatures)})
}

// ask asks the registry for an artifact's signatures, and keeps them.
func (c *Client) ask(ctx context.Context, ref Ref, a *artifact) error {
	found, err := c.findSignatures(ctx, ref, a.descriptor)
	if err != nil {
		return fmt.Errorf("cannot get its signatures: %w", err)
	}
	a.signatures, a.asked = found, true
	c.keep(ref.pinned(string(a.descriptor.Digest)), a)
	return nil
}

var errNoRegistry = errors.New("only modules of registries (oci://) have manifests: push it to one with wasmloop push")
