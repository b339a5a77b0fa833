package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// Load reads an archive that Save wrote, and puts its modules with their signatures into the local store, or, with an into of
// oci://REGISTRY or oci://REGISTRY/PREFIX, into another registry: under the names that their repositories and tags have.
// Nothing is verified but digests: that is done when a module is fetched.
func (c *Client) Load(ctx context.Context, archive io.ReadSeeker, into string) ([]Archived, error) {
	bring := c.bringToStore
	if into != "" {
		host, prefix, err := parseTarget(into)
		if err != nil {
			return nil, err
		}
		bring = func(ctx context.Context, ref Ref, a *artifact) (Archived, error) {
			ref.Host, ref.Path = host, prefix+ref.Path
			return c.bringToRegistry(ctx, ref, a)
		}
	} else if c.store == nil {
		return nil, errors.New("cannot load the archive: there is no local store to put its modules into")
	}
	loaded, err := c.load(ctx, archive, bring)
	if err == nil && into == "" {
		err = c.checkKept(loaded)
	}
	if err != nil {
		return loaded, fmt.Errorf("cannot load the archive: %w", err)
	}
	return loaded, nil
}

// checkKept says whether all that was loaded fits into the store.
func (c *Client) checkKept(loaded []Archived) error {
	for _, module := range loaded {
		if ref, err := Parse(module.Pinned); err != nil || c.store.get(ref.Digest) == nil {
			return fmt.Errorf("the store's limit of %d bytes is too small to have all of it: %s went again", c.options.StoreLimit, module.URL)
		}
	}
	return nil
}

// parseTarget returns the registry of oci://REGISTRY/PREFIX, and the prefix, which ends with / if there is one.
func parseTarget(into string) (host, prefix string, err error) {
	ref, err := Parse(strings.TrimSuffix(into, "/") + "/repository:tag")
	if err != nil || ref.Scheme != schemeOCI {
		return "", "", fmt.Errorf("cannot load into %q: want oci://REGISTRY or oci://REGISTRY/PREFIX", redact(into))
	}
	return ref.Host, strings.TrimSuffix(ref.Path, "repository"), nil
}

func (c *Client) load(ctx context.Context, from io.ReadSeeker, bring func(context.Context, Ref, *artifact) (Archived, error)) ([]Archived, error) {
	archive, err := openArchive(from)
	if err != nil {
		return nil, err
	}
	entries, err := archive.modules()
	if err != nil {
		return nil, err
	}
	var loaded []Archived
	for _, entry := range entries {
		a, err := archive.artifact(entry)
		if err != nil {
			return loaded, fmt.Errorf("%s: %w", entry.ref, err)
		}
		done, err := bring(ctx, entry.ref, a)
		if err != nil {
			return loaded, err
		}
		loaded = append(loaded, done)
	}
	return loaded, nil
}

// moduleEntry is a module in an archive, and what there may be of signatures.
type moduleEntry struct {
	ref        Ref
	descriptor ocispec.Descriptor
	signatures []*document // without their blobs
}

// modules finds the modules, and which signatures are whose.
func (a *archiveReader) modules() ([]*moduleEntry, error) {
	listed, err := a.index()
	if err != nil {
		return nil, err
	}
	var modules []*moduleEntry
	byTag, bySubject := map[string]*document{}, map[string][]*document{}
	for _, descriptor := range listed {
		d, err := a.document(descriptor)
		if err != nil {
			return nil, err
		}
		name := descriptor.Annotations[ocispec.AnnotationRefName]
		switch {
		case d.manifest.Subject != nil:
			subject := string(d.manifest.Subject.Digest)
			bySubject[subject] = append(bySubject[subject], d)
		case strings.HasSuffix(name, ".sig"):
			byTag[name] = d
		default:
			ref, err := Parse(schemeOCI + "://" + name)
			if err != nil {
				return nil, fmt.Errorf("it has a module that is named %q, and not as a registry would: %w", name, err)
			}
			if ref.Digest != "" && ref.Digest != string(descriptor.Digest) {
				return nil, fmt.Errorf("it has %s by the name %s", descriptor.Digest, name)
			}
			modules = append(modules, &moduleEntry{ref: ref, descriptor: withoutAnnotations(descriptor)})
		}
	}
	if len(modules) == 0 || len(modules) > maxArchived {
		return nil, fmt.Errorf("it has %d modules, and may have between 1 and %d", len(modules), maxArchived)
	}
	for _, module := range modules {
		tag := nameOf(Ref{Host: module.ref.Host, Path: module.ref.Path, Tag: signatureTag(module.descriptor.Digest)})
		if d := byTag[tag]; d != nil {
			module.signatures = append(module.signatures, d)
		}
		module.signatures = append(module.signatures, bySubject[string(module.descriptor.Digest)]...)
	}
	return modules, nil
}

func withoutAnnotations(descriptor ocispec.Descriptor) ocispec.Descriptor {
	descriptor.Annotations = nil
	return descriptor
}

// artifact reads a module with its signatures.
func (a *archiveReader) artifact(entry *moduleEntry) (*artifact, error) {
	d, err := a.document(entry.descriptor)
	if err != nil {
		return nil, err
	}
	if err := d.checkLayout(); err != nil {
		return nil, err
	}
	if err := a.fill(d, maxModule); err != nil {
		return nil, err
	}
	budget := &budget{signatures: maxSignatures, bytes: maxSignatureBytes}
	for _, signature := range entry.signatures {
		if err := budget.spend(signature); err != nil {
			return nil, err
		}
		if err := a.fill(signature, maxSignature); err != nil {
			return nil, err
		}
	}
	return &artifact{document: d, signatures: entry.signatures, asked: true}, nil
}

// bringToStore keeps an artifact by its digest, and by its tag as what that was when last asked.
func (c *Client) bringToStore(_ context.Context, ref Ref, a *artifact) (Archived, error) {
	if err := c.store.put(ref, a); err != nil {
		return Archived{}, fmt.Errorf("cannot keep %s: %w", ref, err)
	}
	return archived(ref, a), nil
}

// bringToRegistry pushes the signatures first, so that nobody sees the tag without them.
func (c *Client) bringToRegistry(ctx context.Context, ref Ref, a *artifact) (Archived, error) {
	err := c.within(ctx, func(ctx context.Context) error {
		place, err := c.newSession().own(ref)
		if err != nil {
			return err
		}
		return remote(ref.Host, a.bring(ctx, place, ref.Tag))
	})
	if err != nil {
		return Archived{}, fmt.Errorf("cannot bring %s: %w", ref, err)
	}
	return archived(ref, a), nil
}

func (a *artifact) bring(ctx context.Context, place *orasremote.Repository, tag string) error {
	if err := a.push(ctx, place, ""); err != nil { // bundles need the manifest that they are of
		return err
	}
	for _, signature := range a.signatures {
		name := ""
		if signature.manifest.Subject == nil {
			name = signatureTag(a.descriptor.Digest)
		}
		if err := signature.push(ctx, place, name); err != nil {
			return fmt.Errorf("cannot push a signature: %w", err)
		}
	}
	if tag == "" {
		return nil
	}
	return a.push(ctx, place, tag)
}
