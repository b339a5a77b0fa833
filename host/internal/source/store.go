package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/lockedfile"
	"oras.land/oras-go/v2/content"
)

// store is a folder of artifacts by digest. All that is read from it is compared with its digest: what does not match is
// removed, and as good as not there. Processes may share the folder: a lock lets one at a time write, and whoever reads needs
// none, since files are only ever renamed into place. A nil store is always empty.
type store struct {
	dir   string
	limit int64
	lock  *lockedfile.Mutex
}

// The folders of a store, and the endings of files in them.
const (
	blobsFolder     = "blobs"     // contents, by digest
	artifactsFolder = "artifacts" // records, by the digest of what they are of
	sourcesFolder   = "sources"   // what a tag was when last asked, by the digest of the URL

	halfWritten = ".tmp"
)

// record is what makes an artifact of blobs.
type record struct {
	Root       ocispec.Descriptor   `json:"root"`
	Signatures []ocispec.Descriptor `json:"signatures,omitempty"`
	Asked      bool                 `json:"asked,omitempty"`
	// Blobs are the sizes of all contents that belong to it.
	Blobs map[digest.Digest]int64 `json:"blobs"`
}

// resolution is what a tag was when last asked.
type resolution struct {
	URL    string `json:"url"`
	Digest string `json:"digest"`
}

func openStore(dir string, limit int64) (*store, error) {
	for _, folder := range []string{blobsFolder, artifactsFolder, sourcesFolder} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	return &store{dir: dir, limit: limit, lock: lockedfile.MutexAt(filepath.Join(dir, "lock"))}, nil
}

// path returns the file for a digest.
func (s *store) path(folder, digest string) string {
	return filepath.Join(s.dir, folder, strings.TrimPrefix(digest, "sha256:"))
}

// get returns the artifact with a digest, nil if it is not there as a whole.
func (s *store) get(digest string) *artifact {
	if s == nil || !digestForm.MatchString(digest) {
		return nil
	}
	var r record
	file := s.path(artifactsFolder, digest)
	if !readJSON(file, &r) || string(r.Root.Digest) != digest {
		return nil
	}
	found, err := s.read(&r)
	if err != nil {
		_ = os.Remove(file) // what is missing will be fetched again
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(file, now, now) // it was used; at worst it goes earlier
	return found
}

// readJSON reads a file, which need not be there. One that cannot be read is removed.
func readJSON(path string, value any) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	if json.Unmarshal(data, value) != nil {
		_ = os.Remove(path) // it says nothing
		return false
	}
	return true
}

func (s *store) read(r *record) (*artifact, error) {
	if r.Root.MediaType == mediaTypeWasm {
		wasm, err := s.blob(r.Root, maxModule)
		if err != nil {
			return nil, err
		}
		return plainArtifact(wasm), nil
	}
	root, err := s.document(r.Root)
	if err != nil {
		return nil, err
	}
	if err := root.checkLayout(); err != nil {
		return nil, err
	}
	a := &artifact{document: root, asked: r.Asked}
	for _, signature := range r.Signatures {
		d, err := s.document(signature)
		if err != nil {
			return nil, err
		}
		a.signatures = append(a.signatures, d)
	}
	return a, nil
}

func (s *store) document(descriptor ocispec.Descriptor) (*document, error) {
	raw, err := s.blob(descriptor, maxManifest)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(descriptor, raw)
	if err != nil {
		return nil, err
	}
	return d, d.fill(func(part ocispec.Descriptor) ([]byte, error) { return s.blob(part, maxModule) })
}

// blob reads a content, and removes it if it is not what it should be.
func (s *store) blob(descriptor ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := checkPart(descriptor, limit); err != nil {
		return nil, err
	}
	path := s.path(blobsFolder, string(descriptor.Digest))
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := content.ReadAll(file, descriptor)
	if err != nil {
		_ = os.Remove(path) // it will be fetched again
	}
	return data, err
}

// last returns what a tag was when last asked, nil if that is not there any more.
func (s *store) last(ref Ref) *artifact {
	if s == nil {
		return nil
	}
	var r resolution
	if !readJSON(s.path(sourcesFolder, digestOf([]byte(ref.String()))), &r) || r.URL != ref.String() {
		return nil
	}
	return s.get(r.Digest)
}

// put keeps an artifact, and what a source without a digest was resolved to.
func (s *store) put(ref Ref, a *artifact) error {
	if s == nil {
		return nil
	}
	r, contents := recordOf(a)
	if size := r.size(); size > s.limit {
		return fmt.Errorf("it has %d bytes, and the store's limit is %d", size, s.limit)
	}
	unlock, err := s.lock.Lock()
	if err != nil {
		return fmt.Errorf("cannot lock the store: %w", err)
	}
	defer unlock()
	if err := s.removeHalfWritten(); err != nil {
		return err
	}
	for digest, data := range contents {
		if err := writeFile(s.path(blobsFolder, string(digest)), data); err != nil {
			return err
		}
	}
	if err := s.writeJSON(artifactsFolder, string(r.Root.Digest), r); err != nil {
		return err
	}
	if ref.Digest == "" {
		if err := s.writeJSON(sourcesFolder, digestOf([]byte(ref.String())), resolution{ref.String(), string(r.Root.Digest)}); err != nil {
			return err
		}
	}
	return s.evict()
}

// recordOf returns what is noted of an artifact, and all contents that belong to it.
func recordOf(a *artifact) (*record, map[digest.Digest][]byte) {
	r := &record{Root: a.descriptor, Asked: a.asked, Blobs: map[digest.Digest]int64{}}
	contents := map[digest.Digest][]byte{}
	add := func(d *document) {
		contents[d.descriptor.Digest] = d.raw
		maps.Copy(contents, d.blobs)
	}
	add(a.document)
	for _, signature := range a.signatures {
		r.Signatures = append(r.Signatures, signature.descriptor)
		add(signature)
	}
	for digest, data := range contents {
		r.Blobs[digest] = int64(len(data))
	}
	return r, contents
}

func (r *record) size() (size int64) {
	for _, blob := range r.Blobs {
		size += blob
	}
	return size
}

func (s *store) writeJSON(folder, digest string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	path := s.path(folder, digest)
	if err := writeFile(path, data); err != nil {
		return err
	}
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// removeHalfWritten removes what writers that were stopped have left: nobody else is writing now.
func (s *store) removeHalfWritten() error {
	for _, folder := range []string{blobsFolder, artifactsFolder, sourcesFolder} {
		left, err := filepath.Glob(filepath.Join(s.dir, folder, "*"+halfWritten))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// writeFile writes a file, unless it is so already, so that at no time a half of it is there, after a crash neither.
func writeFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+halfWritten)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // err says more
	}
	return err
}
