package source

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The bounds of an archive that is read.
const (
	maxEntries  = 100_000
	maxArchived = 1_000 // modules
)

// Archived is a module in an archive.
type Archived struct {
	// URL is its source, as it was saved; or, once it was brought to another registry, the one there.
	URL string
	// Pinned is that with its digest.
	Pinned string
	// Signatures is how many signatures came with it.
	Signatures int
}

// Save writes modules of registries with their signatures to an archive: a tar of an OCI image layout, in which each is named
// as its registry has it. The same modules give the same bytes.
func (c *Client) Save(ctx context.Context, urls []string, w io.Writer) ([]Archived, error) {
	archive := newArchiveWriter(w)
	var saved []Archived
	for _, url := range urls {
		ref, a, err := c.saved(ctx, url)
		if err != nil {
			return nil, err
		}
		if err := archive.add(ref, a); err != nil {
			return nil, fmt.Errorf("cannot save %s: %w", ref, err)
		}
		saved = append(saved, archived(ref, a))
	}
	if err := archive.close(); err != nil {
		return nil, fmt.Errorf("cannot write the archive: %w", err)
	}
	return saved, nil
}

func archived(ref Ref, a *artifact) Archived {
	return Archived{URL: ref.String(), Pinned: ref.pinned(string(a.descriptor.Digest)).String(), Signatures: len(signaturesOf(a.signatures))}
}

// saved gets an artifact with its signatures, as far as the policy lets it.
func (c *Client) saved(ctx context.Context, url string) (ref Ref, a *artifact, err error) {
	if ref, err = Parse(url); err != nil {
		return ref, nil, err
	}
	if ref.Scheme != schemeOCI {
		return ref, nil, fmt.Errorf("cannot save %s: %w", ref, errNoRegistry)
	}
	err = c.within(ctx, func(ctx context.Context) (err error) {
		if err = c.options.Policy.admit(ref); err != nil {
			return err
		}
		if a, _, err = c.obtain(ctx, ref); err != nil {
			return err
		}
		if err = c.ask(ctx, ref, a); err != nil {
			return err
		}
		return c.judge(ctx, ref, a)
	})
	if err != nil {
		return ref, nil, fmt.Errorf("cannot save %s: %w", ref, err)
	}
	return ref, a, nil
}

// archiveWriter writes an OCI image layout.
type archiveWriter struct {
	tar     *tar.Writer
	index   ocispec.Index
	written map[digest.Digest]bool
	err     error // of the first write that failed
}

func newArchiveWriter(w io.Writer) *archiveWriter {
	a := &archiveWriter{tar: tar.NewWriter(w), written: map[digest.Digest]bool{}}
	a.index.Versioned, a.index.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageIndex
	a.json(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	return a
}

// add adds a module. Signatures by tag are named as in the registry, and bundles say themselves what they are of.
func (w *archiveWriter) add(ref Ref, a *artifact) error {
	w.document(a.document, nameOf(ref))
	for _, signature := range a.signatures {
		name := ""
		if signature.manifest.Subject == nil {
			name = nameOf(Ref{Host: ref.Host, Path: ref.Path, Tag: signatureTag(a.descriptor.Digest)})
		}
		w.document(signature, name)
	}
	return w.err
}

// nameOf returns the name that an archive has a source by: that of images, which is without a scheme.
func nameOf(ref Ref) string {
	name := ref.Host + "/" + ref.Path
	if ref.Tag != "" {
		return name + ":" + ref.Tag
	}
	return name + "@" + ref.Digest
}

func (w *archiveWriter) document(d *document, name string) {
	w.blob(d.descriptor.Digest, d.raw)
	for _, part := range d.parts() {
		w.blob(part.Digest, d.blobs[part.Digest])
	}
	entry := d.descriptor
	if name != "" {
		entry.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	}
	w.index.Manifests = append(w.index.Manifests, entry)
}

func (w *archiveWriter) blob(name digest.Digest, data []byte) {
	if !w.written[name] {
		w.written[name] = true
		w.file(blobName(name), data)
	}
}

func blobName(name digest.Digest) string {
	return ocispec.ImageBlobsDir + "/sha256/" + name.Encoded()
}

func (w *archiveWriter) json(name string, value any) {
	data, err := json.Marshal(value)
	w.err = errors.Join(w.err, err)
	w.file(name, data)
}

func (w *archiveWriter) file(name string, data []byte) {
	if w.err == nil {
		w.err = w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR})
	}
	if w.err == nil {
		_, w.err = w.tar.Write(data)
	}
}

func (w *archiveWriter) close() error {
	w.json(ocispec.ImageIndexFile, w.index)
	if w.err != nil {
		return w.err
	}
	return w.tar.Close()
}

// archiveReader reads an OCI image layout in a tar, which may come from anybody: nothing is unpacked, and what is no part of
// a layout is refused.
type archiveReader struct {
	r     io.ReadSeeker
	files map[string]section
}

// section is where a file is.
type section struct{ offset, size int64 }

// entryForm are the files and folders of a layout, and nothing else.
var entryForm = regexp.MustCompile(`^(\./)?((oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})|(blobs/(sha256/?)?)?)$`)

func openArchive(r io.ReadSeeker) (*archiveReader, error) {
	a := &archiveReader{r: r, files: map[string]section{}}
	entries := tar.NewReader(r)
	for count := 0; ; count++ {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no tar archive, or damaged: %w", err)
		}
		if err := a.enter(header); err != nil || count >= maxEntries {
			return nil, errors.Join(err, tooMany(count, maxEntries, "entries"))
		}
	}
	for _, name := range []string{ocispec.ImageLayoutFile, ocispec.ImageIndexFile} {
		if _, there := a.files[name]; !there {
			return nil, fmt.Errorf("it has no %s: an archive of modules is what wasmloop save writes, or another OCI image layout", name)
		}
	}
	return a, nil
}

func tooMany(count, limit int, what string) error {
	if count < limit {
		return nil
	}
	return fmt.Errorf("it has more than %d %s", limit, what)
}

// enter notes where a file is.
func (a *archiveReader) enter(header *tar.Header) error {
	match := entryForm.FindStringSubmatch(header.Name)
	folder := header.Typeflag == tar.TypeDir
	if match == nil || folder == (match[3] != "") || !folder && header.Typeflag != tar.TypeReg {
		return fmt.Errorf("it has the entry %q, which is no part of an OCI image layout", header.Name)
	}
	if folder {
		return nil
	}
	if _, twice := a.files[match[3]]; twice {
		return fmt.Errorf("it has the entry %q twice", header.Name)
	}
	offset, err := a.r.Seek(0, io.SeekCurrent)
	a.files[match[3]] = section{offset, header.Size}
	return err
}

// open returns a file's content.
func (a *archiveReader) open(name string) (io.Reader, error) {
	file, there := a.files[name]
	if !there {
		return nil, fmt.Errorf("it has no %s", name)
	}
	if _, err := a.r.Seek(file.offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.LimitReader(a.r, file.size), nil
}

// index reads the list of documents.
func (a *archiveReader) index() ([]ocispec.Descriptor, error) {
	if size := a.files[ocispec.ImageIndexFile].size; size > maxManifest {
		return nil, fmt.Errorf("its %s has %d bytes, and %d are the limit", ocispec.ImageIndexFile, size, maxManifest)
	}
	r, err := a.open(ocispec.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.NewDecoder(r).Decode(&index); err != nil {
		return nil, fmt.Errorf("its %s is not valid: %w", ocispec.ImageIndexFile, err)
	}
	if err := tooMany(len(index.Manifests), maxArchived*(maxSignatures+1), "manifests"); err != nil {
		return nil, err
	}
	return index.Manifests, nil
}

// blob reads a content.
func (a *archiveReader) blob(part ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := checkPart(part, limit); err != nil {
		return nil, err
	}
	r, err := a.open(blobName(part.Digest))
	if err != nil {
		return nil, err
	}
	return readAll(r, part)
}

// document reads a manifest without its blobs.
func (a *archiveReader) document(descriptor ocispec.Descriptor) (*document, error) {
	raw, err := a.blob(descriptor, maxManifest)
	if err != nil {
		return nil, err
	}
	return parseDocument(descriptor, raw)
}

// fill reads the blobs of a document.
func (a *archiveReader) fill(d *document, limit int64) error {
	return d.fill(func(part ocispec.Descriptor) ([]byte, error) { return a.blob(part, limit) })
}
