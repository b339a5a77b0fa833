package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// answer has the registry answer all requests with a status.
func answer(r *testRegistry, status int) {
	r.misbehave(func(w http.ResponseWriter, request *http.Request) bool {
		if status != http.StatusUnauthorized && request.Header.Get("Authorization") == "" {
			return false
		}
		w.WriteHeader(status)
		return true
	})
}

// serve has the registry answer requests for what has part in its path with this.
func serve(r *testRegistry, part string, answer func(http.ResponseWriter, *http.Request)) {
	r.misbehave(func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.Contains(request.URL.Path, part) {
			return false
		}
		answer(w, request)
		return true
	})
}

// manifestAs serves a manifest, under whatever digest it is asked for.
func manifestAs(change func(*ocispec.Manifest)) func(http.ResponseWriter, *http.Request) {
	manifest := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    describe(mediaTypeConfig, []byte("{}")),
		Layers:    []ocispec.Descriptor{describe(mediaTypeWasm, []byte("abc"))},
	}
	change(&manifest)
	raw, err := json.Marshal(manifest)
	return raws(ocispec.MediaTypeImageManifest, string(raw), err)
}

func raws(mediaType, raw string, errs ...error) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, err := range errs {
			if err != nil {
				panic(err)
			}
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", string(digest.FromString(raw)))
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		_, _ = w.Write([]byte(raw))
	}
}

// TestHostileRegistry fetches from registries that answer with what they should not.
func TestHostileRegistry(t *testing.T) {
	const manifests, layer = "/manifests/", "/blobs/" + someDigest
	tests := map[string]struct {
		reason string
		part   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		"other bytes": {"the digest promises others", layer, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("abd"))
		}, "has another digest"},
		"fewer bytes": {"the connection ends", layer, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			_, _ = w.Write([]byte("ab"))
			panic(http.ErrAbortHandler)
		}, "EOF"},
		"fewer bytes, as if all": {"it does not say how many come", layer, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("ab"))
		}, "unexpected EOF"},
		"more bytes": {"they would fill the memory", layer, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			for range 1000 {
				_, _ = w.Write([]byte("abc"))
			}
		}, "the server sent more than the 3 bytes"},
		"another size": {"it says so at once", layer, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(maxModule+1))
		}, "mismatch Content-Length"},
		"a layer that is too large": {"it is not even asked for", manifests, manifestAs(func(m *ocispec.Manifest) {
			m.Layers[0].Size = maxModule + 1
		}), "are the limit"},
		"a layer of a negative size": {"it is nonsense", manifests, manifestAs(func(m *ocispec.Manifest) { m.Layers[0].Size = -1 }), "a size of -1 bytes"},
		"an empty layer":             {"there is no module", manifests, manifestAs(func(m *ocispec.Manifest) { m.Layers[0].Size = 0 }), "its module is empty"},
		"a config that is too large": {"it is not even asked for", manifests, manifestAs(func(m *ocispec.Manifest) { m.Config.Size = maxConfig + 1 }), "are the limit"},
		"a path for a digest": {"it leads elsewhere", manifests, manifestAs(func(m *ocispec.Manifest) {
			m.Layers[0].Digest = "sha256:../../../../etc/passwd"
		}), "which is none of sha256"},
		"a digest of no use": {"it is not compared", manifests, manifestAs(func(m *ocispec.Manifest) {
			m.Layers[0].Digest = digest.SHA512.FromString("abc")
		}), "which is none of sha256"},
		"a manifest that is too large": {"it would fill the memory", manifests, func(w http.ResponseWriter, request *http.Request) {
			raws(ocispec.MediaTypeImageManifest, `{"annotations": {"a": "`+strings.Repeat("a", maxManifest)+`"}}`)(w, request)
		}, "are the limit"},
		"a manifest that is none": {"it is no JSON", manifests, raws(ocispec.MediaTypeImageManifest, "<html>"), "its manifest is not valid"},
		"a page":                  {"somebody answers for the registry", manifests, raws("text/html", "{}"), `it is a "text/html", not a Wasm artifact`},
		"two things at once": {"others read it as something else", manifests, raws(ocispec.MediaTypeImageManifest,
			`{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{}]}`), "which is a trick"},
		"endless redirects": {"it would never end", manifests, func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, request.URL.Path+"x?token=secret", http.StatusTemporaryRedirect)
		}, "it redirects more than 5 times"},
		"a redirect to plain HTTP": {"anybody could change that", manifests, func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, "http://"+request.Host+"/?token=secret", http.StatusTemporaryRedirect)
		}, "it redirects from https to http"},
		"a long error": {"it is shown on terminals and in a status", manifests, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"errors": [{"code": "DENIED", "message": "\u001b[2J%s"}]}`, strings.Repeat("no", 3000))
		}, "no…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			dir := t.TempDir()
			c := newClient(t, Options{StoreDir: dir}, r)
			push(t, c, r.url("acme/site:1"), "abc")
			serve(r, tt.part, tt.answer)
			_, err := c.Fetch(t.Context(), r.url("acme/site:1"))
			fails(t, err, tt.want)
			if err != nil && (strings.Contains(err.Error(), "token=") || strings.Contains(err.Error(), "\x1b")) {
				t.Errorf("the error says too much: %q", err)
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("%s, and it was kept: %q", tt.reason, left)
			}
		})
	}
}

// TestOtherManifest fetches what is pinned from a registry that has something else by that digest.
func TestOtherManifest(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	pushed := push(t, c, r.url("acme/site:1"), "abc")
	serve(r, "/manifests/", manifestAs(func(*ocispec.Manifest) {}))
	_, err := c.Fetch(t.Context(), pushed.Pinned)
	fails(t, err, "digest mismatch")
	serve(r, "/manifests/", func(w http.ResponseWriter, _ *http.Request) { // and says nothing of it
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", pushed.Manifest)
		_, _ = w.Write([]byte("{}"))
	})
	_, err = c.Fetch(t.Context(), pushed.Pinned)
	fails(t, err, "has another digest")
}
