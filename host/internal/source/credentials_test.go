package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func credentialsFor(hosts ...string) func(context.Context) ([][]byte, error) {
	return func(context.Context) ([][]byte, error) { return [][]byte{dockerConfig(hosts...)}, nil }
}

func TestCredentials(t *testing.T) {
	r := newRegistry(t)
	push(t, newClient(t, Options{}, r), r.url("a/b:1"), "abc")
	none := func(context.Context) ([][]byte, error) { return nil, nil }
	tests := map[string]struct {
		reason  string
		secrets func(context.Context) ([][]byte, error)
		config  string
		want    string // of the error, "" for none
	}{
		"pull secret": {"that is what a cluster has", credentialsFor(r.host), `{}`, ""},
		"second pull secret": {"each is of another registry", func(context.Context) ([][]byte, error) {
			return [][]byte{dockerConfig("other.example"), dockerConfig(r.host)}, nil
		}, `{}`, ""},
		"docker config":    {"that is what a person has", none, string(dockerConfig(r.host)), ""},
		"pull secret wins": {"it is meant for this host", credentialsFor(r.host), fmt.Sprintf(`{"auths": {%q: {"auth": "d3Jvbmc6d3Jvbmc="}}}`, r.host), ""},
		"helper":           {"passwords need not be in files", none, fmt.Sprintf(`{"credHelpers": {%q: "test"}}`, r.host), ""},
		"missing helper":   {"it says which", none, fmt.Sprintf(`{"credHelpers": {%q: "missing"}}`, r.host), "docker-credential-missing"},
		"none":             {"it says what to do", none, `{}`, "log in with docker login, or name a pull secret"},
		"wrong":            {"it says what to do", none, fmt.Sprintf(`{"auths": {%q: {"auth": "d3Jvbmc6d3Jvbmc="}}}`, r.host), "check the credentials"},
		"other host":       {"they are of that host alone", credentialsFor("other.example"), `{}`, "there are no credentials"},
		"broken secret": {"its content is not shown", func(context.Context) ([][]byte, error) {
			return [][]byte{[]byte(`{"auths": "` + testPassword)}, nil
		}, `{}`, "pull secret 1 of 1 is no .dockerconfigjson"},
		"broken config": {"its content is not shown", none, testPassword, "the config of Docker, "},
		"no secret": {"it must not be passed over", func(context.Context) ([][]byte, error) {
			return nil, os.ErrPermission
		}, string(dockerConfig(r.host)), "cannot get the pull secrets"},
	}
	helper := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho '{\"Username\": %q, \"Secret\": %q}'\n", testUser, testPassword)
	if err := os.WriteFile(filepath.Join(helper, "docker-credential-test"), []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	t.Setenv("PATH", helper+":"+os.Getenv("PATH"))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("DOCKER_CONFIG", folder)
			_, err := newClient(t, Options{Credentials: tt.secrets}, r).Fetch(t.Context(), r.url("a/b:1"))
			if tt.want == "" && err != nil {
				t.Errorf("%s: %v", tt.reason, err)
			} else if tt.want != "" {
				fails(t, err, tt.want)
			}
		})
	}
}

// TestCredentialsStay has a registry redirect to another one, which gets no credentials of the first.
func TestCredentialsStay(t *testing.T) {
	r := newRegistry(t)
	got := make(chan string, 10)
	thief := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		got <- request.Header.Get("Authorization")
		w.Header().Set("WWW-Authenticate", `Basic realm="give me all"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(thief.Close)
	c := newClient(t, Options{}, r)
	push(t, c, r.url("a/b:1"), "abc")
	r.misbehave(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Header.Get("Authorization") == "" {
			return false
		}
		http.Redirect(w, request, thief.URL+"/v2/?token=secret", http.StatusTemporaryRedirect)
		return true
	})
	// One authority is as good as another: both servers have the same certificate.
	_, err := c.Fetch(t.Context(), r.url("a/b:1"))
	fails(t, err, "check the credentials")
	if authorization := <-got; authorization != "" {
		t.Errorf("the other registry was sent %q", authorization)
	}
}

func TestPlainHTTP(t *testing.T) {
	c := newClient(t, Options{Registries: map[string]Registry{
		"plain.example:5000": {PlainHTTP: true},
		"127.0.0.1:5001":     {},
	}})
	tests := map[string]struct {
		reason string
		host   string
		want   bool
	}{
		"registry":          {"credentials would be seen on the way", "ghcr.io", false},
		"configured":        {"somebody has said so", "plain.example:5000", true},
		"another port":      {"it is another server", "plain.example:5001", false},
		"loopback":          {"nobody listens", "127.0.0.1:5000", true},
		"loopback by name":  {"it is the same", "localhost:5000", true},
		"loopback in IPv6":  {"it is the same", "[::1]:5000", true},
		"loopback with TLS": {"it has settings, which say nothing of plain HTTP", "127.0.0.1:5001", false},
		"looks like it":     {"whose name is that?", "localhost.example:5000", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := c.plainHTTP(tt.host); got != tt.want {
				t.Errorf("%s: got %v", tt.reason, got)
			}
		})
	}
}
