package source

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// The credentials that test registries want.
const (
	testUser     = "mona"
	testPassword = "a-secret-smile"
)

// testRegistry is a real registry behind TLS and basic authentication, which a test can make misbehave.
type testRegistry struct {
	*httptest.Server

	host, caFile string

	mu       sync.Mutex
	hook     func(http.ResponseWriter, *http.Request) bool // answers itself, or returns false
	requests []string
}

func newRegistry(t *testing.T, options ...registry.Option) *testRegistry {
	t.Helper()
	r := &testRegistry{}
	real := registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if hook := r.note(request); hook != nil && hook(w, request) {
			return
		}
		if user, password, _ := request.BasicAuth(); user != testUser || password != testPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		real.ServeHTTP(w, request)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(r.Close)
	r.host = strings.TrimPrefix(r.URL, "https://")
	r.caFile = authorityOf(t, r.Server)
	return r
}

// authorityOf returns a file with the certificate of a server.
func authorityOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (r *testRegistry) note(request *http.Request) func(http.ResponseWriter, *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request.Method+" "+request.URL.Path)
	return r.hook
}

// asked returns what was requested since it was called last.
func (r *testRegistry) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

// misbehave has hook called before the registry. It returns whether it has answered.
func (r *testRegistry) misbehave(hook func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

// down makes the registry one that cannot answer.
func (r *testRegistry) down() {
	r.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "closed for repairs", http.StatusServiceUnavailable)
		return true
	})
}

func (r *testRegistry) url(rest string) string { return "oci://" + r.host + "/" + rest }

// newClient returns a client that knows the registries and their credentials, and waits for nothing.
func newClient(t *testing.T, options Options, registries ...*testRegistry) *Client {
	t.Helper()
	if os.Getenv("DOCKER_CONFIG") == "" {
		t.Setenv("DOCKER_CONFIG", t.TempDir())
	}
	options.backoff = 1
	if options.Registries == nil {
		options.Registries = map[string]Registry{}
	}
	var hosts []string
	for _, r := range registries {
		settings := options.Registries[r.host]
		settings.CAFile = r.caFile
		options.Registries[r.host] = settings
		hosts = append(hosts, r.host)
	}
	if options.Credentials == nil {
		options.Credentials = credentialsFor(hosts...)
	}
	c, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dockerConfig(hosts ...string) []byte {
	var entries []string
	for _, host := range hosts {
		auth := base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
		entries = append(entries, fmt.Sprintf(`%q: {"auth": %q}`, host, auth))
	}
	return []byte(`{"auths": {` + strings.Join(entries, ", ") + `}}`)
}

// push pushes a module, and returns its URL with the digest.
func push(t *testing.T, c *Client, url, wasm string) *Module {
	t.Helper()
	pushed, err := c.Push(t.Context(), url, []byte(wasm), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pushed
}

// fetch fetches a module that must be there.
func fetch(t *testing.T, c *Client, url string) *Module {
	t.Helper()
	module, err := c.Fetch(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// fails wants an error that says something, and that keeps secrets.
func fails(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("there is no error, and it should say %q", want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("the error does not say %q: %v", want, err)
	case strings.Contains(err.Error(), testPassword), slices.Contains(strings.Fields(err.Error()), "token="):
		t.Errorf("the error says too much: %v", err)
	}
}
