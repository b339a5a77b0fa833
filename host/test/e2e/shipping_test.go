package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// shippingConfig has a controller whose module comes from a registry.
const shippingConfig = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  versioned: {source: "%s", poll: 1s}
controllers:
- name: shipped
  module: versioned
  for: {apiVersion: test.wasmloop.dev/v1, kind: Elected, namespaces: [%s]}
  owns: [{apiVersion: v1, kind: ConfigMap}]
`

// testRegistry is a real registry that can be down, and can want credentials.
type testRegistry struct {
	*httptest.Server
	down     atomic.Bool
	password string
	asked    atomic.Int64
}

func newRegistry(t *testing.T, password string) *testRegistry {
	t.Helper()
	r := &testRegistry{password: password}
	behind := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.asked.Add(1)
		_, password, _ := request.BasicAuth()
		switch {
		case r.down.Load():
			http.Error(w, "down", http.StatusServiceUnavailable)
		case password != r.password:
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		default:
			behind.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// source returns a source URL in the registry.
func (r *testRegistry) source(rest string) string {
	return "oci://" + r.Listener.Addr().String() + "/" + rest
}

// buildVersion builds the module in a version.
func buildVersion(t *testing.T, version string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), version+".wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags", "-s -w -X main.version="+version,
		"-o", path, "./testdata/modules/versioned")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// must runs a command that has to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	got := command(t, args...)
	if got.code != 0 {
		t.Fatalf("wasmloop %s: %d: %s", strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

// statusOf asks a host how it is, once its module is as wanted.
func statusOf(t *testing.T, address string, wanted func(engine.ModuleStatus) error) (status engine.Status) {
	t.Helper()
	eventually(t, func() error {
		got := command(t, "status", "--address", address, "-o", "json")
		if got.code != 0 {
			return fmt.Errorf("status: %s", got.stderr)
		}
		status = engine.Status{}
		if err := json.Unmarshal([]byte(got.stdout), &status); err != nil {
			return err
		}
		return wanted(status.Modules[0])
	})
	return status
}

// trouble returns a function that wants a module to be in trouble that is told of so.
func trouble(part string) func(engine.ModuleStatus) error {
	return func(m engine.ModuleStatus) error {
		if (m.Trouble == "") != (part == "") || !strings.Contains(m.Trouble, part) {
			return fmt.Errorf("the trouble is %q, want %q", m.Trouble, part)
		}
		return nil
	}
}

// shipped is what the tests of shipping begin with.
type shipped struct {
	registry          *testRegistry
	namespace, config string
	metrics           string
	args              []string
}

func newShipped(t *testing.T, policy string) *shipped {
	t.Helper()
	s := &shipped{registry: newRegistry(t, ""), namespace: newNamespace(t), metrics: freeAddress(t)}
	s.config = filepath.Join(t.TempDir(), "config.yaml")
	write(t, s.config, fmt.Sprintf(shippingConfig, s.registry.source("acme/versioned:1"), s.namespace)+policy)
	s.args = []string{"--metrics-bind-address", s.metrics, "--cache-dir", filepath.Join(t.TempDir(), "cache")}
	return s
}

// push builds and pushes a version of the module, and returns its source with the digest.
func (s *shipped) push(t *testing.T, version string) (pinned string) {
	t.Helper()
	var pushed struct{ Pinned string }
	out := must(t, "push", buildVersion(t, version), s.registry.source("acme/versioned:1"), "-o", "json")
	if err := json.Unmarshal([]byte(out), &pushed); err != nil {
		t.Fatal(err)
	}
	return pushed.Pinned
}

func (s *shipped) waitForVersion(t *testing.T, name, version string) {
	t.Helper()
	waitFor(t, "v1", "ConfigMap", s.namespace, name, field(version, "data", "version"))
}

const shippedObject = `{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: %s}, spec: {text: hello}}`

// TestTagIsFollowed has a tag move while the host runs, and the registry go away.
func TestTagIsFollowed(t *testing.T) {
	s := newShipped(t, "")
	first := s.push(t, "v1")
	recordings := filepath.Join(t.TempDir(), "recordings")
	create(t, s.namespace, fmt.Sprintf(shippedObject, "one"))
	runWith(t, s.config, append(s.args, "--record", recordings), func(*host) {
		s.waitForVersion(t, "one", "v1")
		if got := statusOf(t, s.metrics, trouble("")); got.Modules[0].Pinned != first || got.Controllers[0].State != "running" {
			t.Errorf("the status is %+v, want %s", got, first)
		}
		if metrics := read(t, "http://"+s.metrics+"/metrics"); !strings.Contains(metrics, `source="`+first+`"`) {
			t.Error("the metrics do not tell of the digest")
		}
		recording, err := os.ReadFile(lastRecording(t, recordings, "one"))
		if err != nil || !bytes.Contains(recording, []byte(first)) {
			t.Errorf("a recording does not tell of the digest: %v", err)
		}
		second := s.push(t, "v2")
		s.waitForVersion(t, "one", "v2")
		if got := statusOf(t, s.metrics, trouble("")); got.Modules[0].Pinned != second {
			t.Errorf("the status is %+v, want %s", got.Modules[0], second)
		}
		s.registry.down.Store(true)
		statusOf(t, s.metrics, trouble("503"))
		create(t, s.namespace, fmt.Sprintf(shippedObject, "two"))
		s.waitForVersion(t, "two", "v2")
	})
	runWith(t, s.config, s.args, func(h *host) { // the registry is still down
		create(t, s.namespace, fmt.Sprintf(shippedObject, "three"))
		s.waitForVersion(t, "three", "v2")
		h.waitForLog(t, "the registry cannot be asked")
		s.registry.down.Store(false)
		statusOf(t, s.metrics, trouble(""))
	})
}

// TestSignaturesAreRequired has a module run only when it is signed, and be replaced only by one that is, too.
func TestSignaturesAreRequired(t *testing.T) {
	t.Setenv("WASMLOOP_KEY_PASSWORD", "secret")
	team := filepath.Join(t.TempDir(), "team")
	must(t, "keygen", "--out", team)
	must(t, "keygen", "--out", team+"-of-others")
	s := newShipped(t, fmt.Sprintf("policy: {signatures: {keys: [%s.pub]}}\n", team))
	first := s.push(t, "v1")
	create(t, s.namespace, fmt.Sprintf(shippedObject, "one"))
	runWith(t, s.config, s.args, func(h *host) {
		got := statusOf(t, s.metrics, trouble("is not signed"))
		if got.Modules[0].Digest != "" || got.Controllers[0].State != "fetching its module" || got.Controllers[0].Calls != 0 {
			t.Errorf("a module runs that is not signed: %+v", got)
		}
		h.waitForLog(t, "module cannot be fetched, so that its controllers do not start", "is not signed")
		must(t, "sign", first, "--key", team+"-of-others.key")
		statusOf(t, s.metrics, trouble("no valid signature"))
		must(t, "sign", first, "--key", team+".key")
		s.waitForVersion(t, "one", "v1")
		second := s.push(t, "v2")
		if got := statusOf(t, s.metrics, trouble("is not signed")); got.Modules[0].Pinned != first {
			t.Errorf("after another was pushed the status is %+v, want %s", got.Modules[0], first)
		}
		create(t, s.namespace, fmt.Sprintf(shippedObject, "two"))
		s.waitForVersion(t, "two", "v1")
		must(t, "sign", second, "--key", team+".key")
		s.waitForVersion(t, "one", "v2")
		s.waitForVersion(t, "two", "v2")
	})
}

// TestPullSecret has the credentials for a registry come from the cluster, and another policy refuse the source.
func TestPullSecret(t *testing.T) {
	s := newShipped(t, "")
	s.registry.password = "pass"
	auth := base64.StdEncoding.EncodeToString([]byte("me:pass"))
	login := fmt.Sprintf(`{"auths": {"%s": {"auth": "%s"}}}`, s.registry.Listener.Addr(), auth)
	docker := t.TempDir()
	write(t, filepath.Join(docker, "config.json"), login)
	t.Setenv("DOCKER_CONFIG", docker)
	s.push(t, "v1")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	create(t, s.namespace, fmt.Sprintf(shippedObject, "one"))
	appendTo(t, s.config, fmt.Sprintf("imagePullSecrets: [{namespace: %s, name: pull}]\n", s.namespace))
	runWith(t, s.config, s.args, func(*host) {
		statusOf(t, s.metrics, trouble(`secrets "pull" not found`))
		create(t, s.namespace, fmt.Sprintf(`{apiVersion: v1, kind: Secret, type: kubernetes.io/dockerconfigjson, metadata: {name: pull}, stringData: {.dockerconfigjson: '%s'}}`, login))
		s.waitForVersion(t, "one", "v1")
	})
	asked := s.registry.asked.Load()
	appendTo(t, s.config, "policy: {allowedSources: [\"oci://ghcr.io/acme\"]}\n")
	runWith(t, s.config, s.args, func(*host) { statusOf(t, s.metrics, trouble("allows sources from oci://ghcr.io/acme alone")) })
	if now := s.registry.asked.Load(); now != asked {
		t.Errorf("a registry that the policy does not allow was asked %d times", now-asked)
	}
}

// TestConfigMapSource has a module come from a ConfigMap, compressed.
func TestConfigMapSource(t *testing.T) {
	s := newShipped(t, "")
	wasm, err := os.ReadFile("../../internal/guest/testdata/answers.wasm")
	if err != nil {
		t.Fatal(err)
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(wasm); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	create(t, s.namespace, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: modules}, binaryData: {answers.wasm: %s}}",
		base64.StdEncoding.EncodeToString(compressed.Bytes())))
	source := "configmap://" + s.namespace + "/modules/answers.wasm"
	write(t, s.config, fmt.Sprintf(shippingConfig, source, s.namespace))
	runWith(t, s.config, s.args, func(*host) {
		got := statusOf(t, s.metrics, func(m engine.ModuleStatus) error {
			if m.Digest == "" {
				return fmt.Errorf("no module is loaded: %s", m.Trouble)
			}
			return nil
		})
		if diff := cmp.Diff(source+"@"+got.Modules[0].Digest, got.Modules[0].Pinned); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(before)+text)
}

func read(t *testing.T, url string) string {
	t.Helper()
	_, body, err := page(url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
