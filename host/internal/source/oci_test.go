package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	ggcrremote "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestPushAndFetch(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{}, r)
	options := PushOptions{Annotations: map[string]string{"org.opencontainers.image.version": "1.0"}}
	pushed, err := c.Push(t.Context(), r.url("acme/site:1"), []byte("abc"), options)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Push(t.Context(), r.url("acme/site:1"), []byte("abc"), options)
	if err != nil || again.Manifest != pushed.Manifest {
		t.Errorf("the same module has the manifest %s and %s", pushed.Manifest, again.Manifest)
	}
	want := &Module{
		Bytes: []byte("abc"), Digest: someDigest, Manifest: pushed.Manifest, Annotations: options.Annotations,
		Pinned: r.url("acme/site:1@" + pushed.Manifest),
	}
	for _, url := range []string{r.url("acme/site:1"), pushed.Pinned} {
		if diff := cmp.Diff(want, fetch(t, c, url)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", url, diff)
		}
	}
	if pinned, err := c.Resolve(t.Context(), r.url("acme/site:1")); err != nil || pinned != pushed.Pinned {
		t.Errorf("it is resolved to %s, %v", pinned, err)
	}
	moved := push(t, c, r.url("acme/site:1"), "def")
	if got := fetch(t, c, r.url("acme/site:1")); got.Manifest != moved.Manifest || string(got.Bytes) != "def" {
		t.Errorf("after the tag moved it has %s", got.Bytes)
	}
	if got := fetch(t, c, pushed.Pinned); string(got.Bytes) != "abc" {
		t.Errorf("after the tag moved the pinned one has %s", got.Bytes)
	}
}

// trusting returns a transport for a registry.
func trusting(t *testing.T, r *testRegistry) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(r.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
}

// ggcrOptions are what go-containerregistry needs to reach a registry.
func ggcrOptions(t *testing.T, r *testRegistry) []ggcrremote.Option {
	t.Helper()
	return []ggcrremote.Option{ggcrremote.WithTransport(trusting(t, r)), ggcrremote.WithAuth(&authn.Basic{Username: testUser, Password: testPassword})}
}

func reference(t *testing.T, url string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(url, "oci://"))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestStockClientsRead has what was pushed read by clients that know nothing of Wasmloop.
func TestStockClientsRead(t *testing.T) {
	r := newRegistry(t)
	pushed := push(t, newClient(t, Options{}, r), r.url("acme/site:1"), "abc")

	repository, err := orasremote.NewRepository(r.host + "/acme/site")
	if err != nil {
		t.Fatal(err)
	}
	repository.Client = &auth.Client{
		Client:     &http.Client{Transport: trusting(t, r)},
		Credential: auth.StaticCredential(r.host, auth.Credential{Username: testUser, Password: testPassword}),
	}
	copied, err := oras.Copy(t.Context(), repository, "1", memory.New(), "", oras.DefaultCopyOptions)
	if err != nil || string(copied.Digest) != pushed.Manifest {
		t.Errorf("oras copies %s, %v", copied.Digest, err)
	}

	image, err := ggcrremote.Image(reference(t, r.url("acme/site:1")), ggcrOptions(t, r)...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip1","layerDigests":["` + someDigest + `"]}`
	if diff := cmp.Diff(want, string(config)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(manifest.MediaType), string(manifest.Config.MediaType), string(manifest.Layers[0].MediaType)}
	if diff := cmp.Diff([]string{string(types.OCIManifestSchema1), "application/vnd.wasm.config.v0+json", "application/wasm"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLayouts fetches what others have pushed.
func TestLayouts(t *testing.T) {
	r := newRegistry(t)
	options := ggcrOptions(t, r)
	layered := func(config types.MediaType, layers ...types.MediaType) ggcr.Image {
		image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
		for _, layer := range layers {
			var err error
			if image, err = mutate.AppendLayers(image, static.NewLayer([]byte("abc"), layer)); err != nil {
				t.Fatal(err)
			}
		}
		return image
	}
	index, err := random.Index(10, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		image  ggcr.Image // nil: an index
		want   string     // of the error, "" for none
	}{
		"an old Wasm artifact": {"there are many", layered("application/vnd.wasm.config.v1+json", mediaTypeWasmOld), ""},
		"a container image":    {"a wrong name is the usual mistake", layered(types.OCIConfigJSON, types.OCILayer), "it is a container image, not a Wasm artifact"},
		"an image of Docker":   {"it is one, too", layered(types.DockerConfigJSON, types.DockerLayer), "it is a container image, not a Wasm artifact"},
		"two modules":          {"which one?", layered(mediaTypeConfig, mediaTypeWasm, mediaTypeWasm), "it has 2 layers"},
		"no layer":             {"there is no module", layered(mediaTypeConfig), "it has 0 layers"},
		"a Helm chart":         {"it is in registries, too", layered("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"), "its layer is a"},
		"an image index":       {"which of them?", nil, "it is an image index"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref := reference(t, r.url("acme/site:1"))
			err := ggcrremote.WriteIndex(ref, index, options...)
			if tt.image != nil {
				err = ggcrremote.Write(ref, tt.image, options...)
			}
			if err != nil {
				t.Fatal(err)
			}
			module, err := newClient(t, Options{}, r).Fetch(t.Context(), r.url("acme/site:1"))
			if tt.want != "" {
				fails(t, err, tt.want)
			} else if err != nil || string(module.Bytes) != "abc" {
				t.Errorf("%s: %v", tt.reason, err)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	tests := map[string]struct {
		reason string
		status int
		times  int // that it is answered so
		want   int // requests
		fails  bool
	}{
		"too busy":        {"it says so", http.StatusTooManyRequests, 2, 3, false},
		"broken":          {"it may be repaired", http.StatusBadGateway, 4, 5, false},
		"broken for good": {"at some time it is enough", http.StatusServiceUnavailable, 100, 5, true},
		"not found":       {"it will not be found the next time", http.StatusNotFound, 100, 1, true},
		"forbidden":       {"it will not be allowed the next time", http.StatusForbidden, 100, 1, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			c := newClient(t, Options{}, r)
			push(t, c, r.url("acme/site:1"), "abc")
			times := 0
			r.misbehave(func(w http.ResponseWriter, request *http.Request) bool {
				if !strings.Contains(request.URL.Path, "/manifests/") || request.Header.Get("Authorization") == "" {
					return false
				}
				if times++; times > tt.times {
					return false
				}
				w.WriteHeader(tt.status)
				return true
			})
			_, err := c.Fetch(t.Context(), r.url("acme/site:1"))
			if times != tt.want || (err != nil) != tt.fails {
				t.Errorf("%s: %d requests, %v", tt.reason, times, err)
			}
		})
	}
}

// TestMirrors asks mirrors first, and what they do not have of the registry.
func TestMirrors(t *testing.T) {
	down, mirror, own := newRegistry(t), newRegistry(t), newRegistry(t)
	down.down()
	c := newClient(t, Options{Registries: map[string]Registry{own.host: {Mirrors: []string{down.host, mirror.host + "/cache/"}}}}, down, mirror, own)
	push(t, c, mirror.url("cache/acme/site:1"), "abc")
	push(t, c, own.url("acme/site:1"), "abc")
	push(t, c, own.url("acme/site:2"), "def")
	own.asked()
	if got := fetch(t, c, own.url("acme/site:1")); string(got.Bytes) != "abc" || !strings.HasPrefix(got.Pinned, own.url("acme/site:1@")) {
		t.Errorf("got %+v", got)
	}
	if asked := own.asked(); len(asked) > 0 {
		t.Errorf("the registry itself was asked: %q", asked)
	}
	if got := fetch(t, c, own.url("acme/site:2")); string(got.Bytes) != "def" {
		t.Errorf("got %+v", got)
	}
	_, err := c.Fetch(t.Context(), own.url("acme/site:3"))
	fails(t, err, "there is no such thing")
	fails(t, err, "mirror "+down.host)
}

// TestEndsInTime fetches from registries that take their time, within more than they are given.
func TestEndsInTime(t *testing.T) {
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	drip := func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Length", "1000")
		for {
			_, _ = w.Write([]byte("."))
			w.(http.Flusher).Flush()
			select {
			case <-request.Context().Done():
				return
			case <-released:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
	tests := map[string]struct {
		reason  string
		options Options
		answer  func(http.ResponseWriter, *http.Request)
		want    string
	}{
		"silent": {"it may never answer", Options{IdleTimeout: 50 * time.Millisecond}, func(_ http.ResponseWriter, request *http.Request) {
			select {
			case <-request.Context().Done():
			case <-released:
			}
		}, "has sent nothing for too long"},
		"dripping": {"it is never silent", Options{Timeout: 100 * time.Millisecond}, drip, "it took longer than 100ms"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.misbehave(func(w http.ResponseWriter, request *http.Request) bool {
				tt.answer(w, request)
				return true
			})
			_, err := newClient(t, tt.options, r).Fetch(t.Context(), r.url("acme/site@"+someDigest))
			fails(t, err, tt.want)
			if !isDown(err) {
				t.Errorf("%s: it is not taken for a registry that is down: %v", tt.reason, err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	r := newRegistry(t)
	unsigned := errors.New("it is not signed")
	var subjects []Subject
	options := Options{StoreDir: t.TempDir(), Policy: Policy{Verify: func(_ context.Context, subject Subject) error {
		subjects = append(subjects, subject)
		if len(subject.Signatures) == 0 {
			return unsigned
		}
		return nil
	}}}
	c := newClient(t, options, r)
	pushed := push(t, c, r.url("acme/site:1"), "abc")
	if _, err := c.Fetch(t.Context(), pushed.Pinned); !errors.Is(err, unsigned) {
		t.Errorf("got %v", err)
	}
	signature := Signature{Payload: []byte("{}"), Signature: []byte("signed")}
	if err := c.Attach(t.Context(), pushed.Pinned, signature); err != nil {
		t.Fatal(err)
	}
	subjects = nil
	fetch(t, c, pushed.Pinned)
	r.down()
	fetch(t, c, pushed.Pinned)
	r.misbehave(nil)
	want := []Subject{{pushed.Pinned, pushed.Manifest, nil}, {pushed.Pinned, pushed.Manifest, []Signature{signature}}, {pushed.Pinned, pushed.Manifest, []Signature{signature}}}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("signatures are asked for again before a module is refused, and then kept: -want +got:\n%s", diff)
	}
	file := t.TempDir() + "/a.wasm"
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(t.Context(), "file://"+file); !errors.Is(err, unsigned) {
		t.Errorf("a file has no signatures, and got %v", err)
	}
}

// TestPolicyIsFirst asks a registry nothing if the policy refuses its modules.
func TestPolicyIsFirst(t *testing.T) {
	r := newRegistry(t)
	for name, policy := range map[string]Policy{"digest": {RequireDigest: true}, "place": {AllowedSources: []string{"oci://ghcr.io/"}}} {
		_, err := newClient(t, Options{Policy: policy}, r).Fetch(t.Context(), r.url("acme/site:1"))
		if _, ok := errors.AsType[*PolicyError](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if asked := r.asked(); len(asked) > 0 {
		t.Errorf("it was asked: %q", asked)
	}
	if _, err := New(Options{Policy: Policy{AllowedSources: []string{"ghcr.io/acme"}}}); err == nil {
		t.Error("a beginning of nothing is no policy")
	}
}

// TestProgress is told how far it is.
func TestProgress(t *testing.T) {
	r := newRegistry(t)
	var last []Progress
	c := newClient(t, Options{Progress: func(p Progress) { last = append(last, p) }}, r)
	push(t, c, r.url("acme/site:1"), "abc")
	last = nil
	fetch(t, c, r.url("acme/site:1"))
	if !slices.Contains(last, Progress{URL: r.url("acme/site:1"), Done: 3, Total: 3}) {
		t.Errorf("got %v", last)
	}
}
