package source

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/content/oci"
)

// save saves modules, and returns the archive.
func save(t *testing.T, c *Client, urls ...string) []byte {
	t.Helper()
	var archive bytes.Buffer
	if _, err := c.Save(t.Context(), urls, &archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// signed pushes a module with signatures of both forms.
func signed(t *testing.T, c *Client, url, wasm string) *Module {
	t.Helper()
	module := push(t, c, url, wasm)
	if err := c.Attach(t.Context(), module.Pinned, someSignature); err != nil {
		t.Fatal(err)
	}
	attachBundle(t, c, module, `{"a": "bundle of `+wasm+`"}`)
	return module
}

func TestSaveAndLoad(t *testing.T) {
	from, to := newRegistry(t), newRegistry(t, registry.WithReferrersSupport(true))
	c := newClient(t, Options{StoreDir: t.TempDir()}, from, to)
	one, two := signed(t, c, from.url("acme/site:1"), "abc"), push(t, c, from.url("acme/other:2"), "def")
	archive := save(t, c, from.url("acme/site:1"), two.Pinned)
	if !bytes.Equal(archive, save(t, c, from.url("acme/site:1"), two.Pinned)) {
		t.Error("the same modules give other bytes")
	}

	loaded, err := c.Load(t.Context(), bytes.NewReader(archive), to.url("mirror"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Archived{
		{to.url("mirror/acme/site:1"), to.url("mirror/acme/site:1@" + one.Manifest), 2},
		{to.url("mirror/acme/other:2"), to.url("mirror/acme/other:2@" + two.Manifest), 0},
	}
	if diff := cmp.Diff(want, loaded); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := fetch(t, newClient(t, Options{}, to), to.url("mirror/acme/site:1")); got.Manifest != one.Manifest {
		t.Errorf("the other registry has %+v", got)
	}
	if diff := cmp.Diff(signatures(t, c, one.Pinned), signatures(t, c, loaded[0].Pinned)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	from.Close()
	away := newClient(t, Options{StoreDir: t.TempDir()}, from)
	if _, err := away.Load(t.Context(), bytes.NewReader(archive), ""); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{one.Pinned, from.url("acme/site:1")} {
		if got := fetch(t, away, url); string(got.Bytes) != "abc" || got.Manifest != one.Manifest {
			t.Errorf("%s: the store has %+v", url, got)
		}
	}
	if got := away.store.get(one.Manifest); len(signaturesOf(got.signatures)) != 2 {
		t.Errorf("the store has the signatures %v", got.signatures)
	}
}

// TestStockClientReadsArchive has an archive read by a library that knows nothing of it.
func TestStockClientReadsArchive(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	module := signed(t, c, r.url("acme/site:1"), "abc")
	path := filepath.Join(t.TempDir(), "modules.tar")
	if err := os.WriteFile(path, save(t, c, r.url("acme/site:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	layout, err := oci.NewFromTar(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{r.host + "/acme/site:1", r.host + "/acme/site:" + signatureTag(digest.Digest(module.Manifest))} {
		if _, err := oras.Copy(t.Context(), layout, name, memory.New(), "", oras.DefaultCopyOptions); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	subject, err := layout.Resolve(t.Context(), r.host+"/acme/site:1")
	if err != nil {
		t.Fatal(err)
	}
	referrers, err := layout.Predecessors(t.Context(), subject)
	if err != nil || len(referrers) != 1 || string(subject.Digest) != module.Manifest {
		t.Errorf("of %s there are the bundles %v, %v", subject.Digest, referrers, err)
	}
}

// entry is a file in an archive of a test.
type entry struct {
	name, content string
	kind          byte // 0: a file
}

func archiveOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o600, Size: int64(len(e.content))}
		if e.kind != tar.TypeReg {
			header.Size, header.Linkname, e.content = 0, e.content, ""
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// blobEntry is a content, and indexEntry the list of manifests.
func blobEntry(content string) entry {
	return entry{name: "blobs/sha256/" + digest.FromString(content).Encoded(), content: content}
}

func indexEntry(t *testing.T, manifests ...ocispec.Descriptor) entry {
	t.Helper()
	data, err := json.Marshal(ocispec.Index{Manifests: manifests})
	if err != nil {
		t.Fatal(err)
	}
	return entry{name: "index.json", content: string(data)}
}

func TestLoadRefuses(t *testing.T) {
	packed, err := pack([]byte("abc"), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	named := func(change func(*ocispec.Descriptor)) ocispec.Descriptor {
		d := packed.descriptor
		d.Annotations = map[string]string{ocispec.AnnotationRefName: "ghcr.io/acme/site:1"}
		change(&d)
		return d
	}
	good := named(func(*ocispec.Descriptor) {})
	layout := entry{name: "oci-layout", content: `{"imageLayoutVersion": "1.0.0"}`}
	manifest, config, module := blobEntry(string(packed.raw)), blobEntry(string(packed.blobs[packed.manifest.Config.Digest])), blobEntry("abc")
	index := indexEntry(t, good)
	tests := map[string]struct {
		reason  string
		archive []byte
		want    string
	}{
		"no archive":       {"a wrong name is the usual mistake", []byte(strings.Repeat("no archive", 200)), "it is no tar archive, or damaged"},
		"an empty one":     {"it was not written to its end", nil, "it has no oci-layout"},
		"another archive":  {"a wrong name is the usual mistake", archiveOf(t, entry{name: "main.go"}), `it has the entry "main.go"`},
		"cut off":          {"it was copied badly", archiveOf(t, layout, manifest, config, module, index)[:1500], "it is no tar archive, or damaged"},
		"a path with ..":   {"it leads out of any folder", archiveOf(t, layout, entry{name: "blobs/sha256/../../../etc/passwd"}), "no part of an OCI image layout"},
		"an absolute path": {"it leads out of any folder", archiveOf(t, layout, entry{name: "/index.json"}), "no part of an OCI image layout"},
		"a link":           {"it leads out of any folder", archiveOf(t, layout, entry{"index.json", "/etc/passwd", tar.TypeSymlink}), "no part of an OCI image layout"},
		"a hard link":      {"it leads out of any folder", archiveOf(t, layout, entry{module.name, "/etc/passwd", tar.TypeLink}), "no part of an OCI image layout"},
		"twice":            {"which one?", archiveOf(t, layout, index, index), `"index.json" twice`},
		"no index":         {"it says what there is", archiveOf(t, layout, manifest), "it has no index.json"},
		"no modules":       {"there is nothing to load", archiveOf(t, layout, indexEntry(t)), "it has 0 modules"},
		"a broken index":   {"it is no JSON", archiveOf(t, layout, entry{name: "index.json", content: "<"}), "its index.json is not valid"},
		"a large index":    {"it would fill the memory", archiveOf(t, layout, entry{name: "index.json", content: strings.Repeat(" ", maxManifest+1)}), "are the limit"},
		"no module":        {"half of one is none", archiveOf(t, layout, index, manifest, config), "it has no blobs/sha256/ba78"},
		"other bytes":      {"the digest promises others", archiveOf(t, layout, index, manifest, config, entry{name: module.name, content: "abd"}), "has another digest"},
		"fewer bytes":      {"the size promises more", archiveOf(t, layout, index, manifest, config, entry{name: module.name, content: "ab"}), "unexpected EOF"},
		"a huge manifest": {"it would fill the memory", archiveOf(t, layout, manifest, indexEntry(t, named(func(d *ocispec.Descriptor) {
			d.Size = 1 << 40
		}))), "are the limit"},
		"an index in it": {"it has no end", archiveOf(t, layout, manifest, indexEntry(t, named(func(d *ocispec.Descriptor) {
			d.MediaType = ocispec.MediaTypeImageIndex
		}))), "it is an image index"},
		"without a name": {"where did it come from?", archiveOf(t, layout, manifest, indexEntry(t, packed.descriptor)), `is named ""`},
		"a name that leads elsewhere": {"it is put under a prefix", archiveOf(t, layout, manifest, indexEntry(t, named(func(d *ocispec.Descriptor) {
			d.Annotations[ocispec.AnnotationRefName] = "ghcr.io/../other:1"
		}))), "is no repository"},
		"another's digest": {"it would be taken for that", archiveOf(t, layout, manifest, indexEntry(t, named(func(d *ocispec.Descriptor) {
			d.Annotations[ocispec.AnnotationRefName] = "ghcr.io/acme/site@" + someDigest
		}))), "by the name ghcr.io/acme/site@"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := newClient(t, Options{StoreDir: dir}).Load(t.Context(), bytes.NewReader(tt.archive), "")
			fails(t, err, tt.want)
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("%s, and something was kept: %q", tt.reason, left)
			}
		})
	}
	if _, err := newClient(t, Options{StoreDir: t.TempDir()}).Load(t.Context(), bytes.NewReader(archiveOf(t, layout, index, manifest, config, module)), ""); err != nil {
		t.Errorf("one that is as it should be: %v", err)
	}
}

func TestLoadInto(t *testing.T) {
	tests := map[string]struct{ reason, into, want string }{
		"nothing":       {"there is no store", "", "there is no local store"},
		"a folder":      {"it is no registry", "file:///srv", "want oci://REGISTRY"},
		"a tag":         {"modules have tags of their own", "oci://ghcr.io/acme/site:1", "want oci://REGISTRY"},
		"with password": {"it would be shown", "oci://me:" + testPassword + "@ghcr.io", "want oci://REGISTRY"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, Options{}).Load(t.Context(), bytes.NewReader(nil), tt.into)
			fails(t, err, tt.want)
		})
	}
}

// TestLoadTooMuch loads more than the store may have.
func TestLoadTooMuch(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	large := strings.Repeat("a", 10_000)
	archive := save(t, c, push(t, c, r.url("a:1"), large+"1").Pinned, push(t, c, r.url("a:2"), large+"2").Pinned)
	_, err := newClient(t, Options{StoreDir: t.TempDir(), StoreLimit: 15_000}).Load(t.Context(), bytes.NewReader(archive), "")
	fails(t, err, "the store's limit of 15000 bytes is too small")
}

func TestSaveRefuses(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{Policy: Policy{AllowedSources: []string{r.url("acme/"), "file:///"}}}, r)
	tests := map[string]struct{ reason, url, want string }{
		"a file":      {"it has no manifest", "file:///a.wasm", "only modules of registries"},
		"not there":   {"there is nothing to save", r.url("acme/site:1"), "there is no such thing"},
		"not allowed": {"it would be carried where it is not wanted", r.url("other/site:1"), "the policy allows"},
		"no source":   {"it is none", "acme", "want file://"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Save(t.Context(), []string{tt.url}, &bytes.Buffer{})
			fails(t, err, tt.want)
		})
	}
}
