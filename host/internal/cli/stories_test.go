package cli

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets stories run wasmloop as a program of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"wasmloop": func() { os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestStories runs the stories in testdata: what a person types, and what they see. In them, $CHECKOUT is this project's own
// folder, $MODULES the sandbox's modules, $REGISTRY a registry and $PRIVATE one that wants TLS with the authority in $CA and
// the password of a user me: pass. `go test -run Stories/NAME -v` shows one; `wasmloop` in them is this test.
func TestStories(t *testing.T) {
	checkout, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CHECKOUT", checkout)
			env.Setenv("MODULES", filepath.Join(checkout, "host", "internal", "guest", "testdata"))
			// The compiler has what it needs on this machine, and must not look elsewhere. Its cache is that of all tests.
			for _, variable := range []string{"GOCACHE", "GOMODCACHE"} {
				env.Setenv(variable, goEnv(t, variable))
			}
			wasmloop, err := exec.LookPath("wasmloop")
			if err != nil {
				return err
			}
			env.Setenv("NO_GO", filepath.Dir(wasmloop)) // a PATH with nothing else
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOFLAGS", "")
			env.Setenv("GOTOOLCHAIN", "local")
			for _, variable := range []string{"GIT_AUTHOR", "GIT_COMMITTER"} {
				env.Setenv(variable+"_NAME", "a")
				env.Setenv(variable+"_EMAIL", "a@example.com")
				env.Setenv(variable+"_DATE", "2026-01-01T00:00:00Z")
			}
			besides := t.TempDir() // $WORK is a repository in some stories, which this is no part of
			env.Setenv("XDG_CACHE_HOME", filepath.Join(besides, "cache"))
			return startRegistries(env, filepath.Join(besides, "ca.pem"))
		},
	})
}

// startRegistries starts the registries of one story, and writes the authority of the private one to a file.
func startRegistries(env *testscript.Env, ca string) error {
	open := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	env.Defer(open.Close)
	env.Setenv("REGISTRY", open.Listener.Addr().String())
	behind := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	private := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); user != "me" || password != "pass" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		behind.ServeHTTP(w, request)
	}))
	private.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	env.Defer(private.Close)
	env.Setenv("PRIVATE", private.Listener.Addr().String())
	env.Setenv("CA", ca)
	return os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}), 0o600)
}

func goEnv(t *testing.T, variable string) string {
	t.Helper()
	value, err := exec.CommandContext(t.Context(), goCommand, "env", variable).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", variable, err)
	}
	return strings.TrimSpace(string(value))
}
