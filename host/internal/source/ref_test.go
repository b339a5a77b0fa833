package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someDigest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func TestParse(t *testing.T) {
	tests := map[string]struct {
		url  string
		want Ref
	}{
		"file":             {"file:///srv/a module@2.wasm", Ref{Scheme: "file", Path: "/srv/a module@2.wasm"}},
		"pinned file":      {"file:///srv/a.wasm@" + someDigest, Ref{Scheme: "file", Path: "/srv/a.wasm", Digest: someDigest}},
		"tag":              {"oci://ghcr.io/acme/site:1.2", Ref{Scheme: "oci", Host: "ghcr.io", Path: "acme/site", Tag: "1.2"}},
		"digest":           {"oci://r:5000/site@" + someDigest, Ref{Scheme: "oci", Host: "r:5000", Path: "site", Digest: someDigest}},
		"tag and digest":   {"oci://[::1]:5000/a/b/c-d:v1@" + someDigest, Ref{Scheme: "oci", Host: "[::1]:5000", Path: "a/b/c-d", Tag: "v1", Digest: someDigest}},
		"web server":       {"https://example.com/m/a%20b.wasm@" + someDigest, Ref{Scheme: "https", Host: "example.com", Path: "m/a%20b.wasm", Digest: someDigest}},
		"ConfigMap":        {"configmap://default/modules/a.wasm", Ref{Scheme: "configmap", Path: "default/modules/a.wasm"}},
		"pinned ConfigMap": {"configmap://default/modules/a@" + someDigest, Ref{Scheme: "configmap", Path: "default/modules/a", Digest: someDigest}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.String() != tt.url {
				t.Errorf("it is written as %s", got)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ reason, url, want string }{
		"a path":                  {"the config resolves paths", "/srv/a.wasm", "want file://, oci://, https:// or configmap://"},
		"another scheme":          {"it would be taken for a path", "http://example.com/a.wasm@" + someDigest, "want file://"},
		"too long":                {"it comes from anywhere", "file:///" + strings.Repeat("a", maxURL), "longer than"},
		"control characters":      {"it is shown on terminals", "file:///a\x1b[2J", "control characters"},
		"relative file":           {"relative to what?", "file://a.wasm", "not absolute"},
		"file with ..":            {"it leads out of what is allowed", "file:///srv/../etc/a.wasm", `".."`},
		"neither tag nor digest":  {"what it is would change by itself", "oci://ghcr.io/acme/site", "add :TAG, or @sha256:"},
		"empty tag":               {"it was forgotten", "oci://ghcr.io/acme/site:", "is no tag"},
		"short digest":            {"it was cut off", "oci://ghcr.io/acme/site@sha256:abc", "64 hexadecimal digits"},
		"digest of a file":        {"it was cut off", "file:///a.wasm@sha256:abc", "64 hexadecimal digits"},
		"another algorithm":       {"it is not what others compare", "oci://ghcr.io/acme/site@sha512:abc", "is no repository"},
		"upper-case repository":   {"registries have none", "oci://ghcr.io/Acme/site:1", "is no repository"},
		"repository with ..":      {"it leads elsewhere", "oci://ghcr.io/acme/../other:1", "is no repository"},
		"no repository":           {"there is nothing to fetch", "oci://ghcr.io", "is no repository"},
		"no registry":             {"there is no default one", "oci:///site:1", "is no registry"},
		"registry with a query":   {"it is no host", "oci://ghcr.io?x/site:1", "is no registry"},
		"credentials for OCI":     {"they would be logged", "oci://me:" + testPassword + "@ghcr.io/site:1", "docker login"},
		"credentials for https":   {"they would be logged", "https://me:" + testPassword + "@example.com/a.wasm@" + someDigest, "docker login"},
		"https without a digest":  {"a server has no versions", "https://example.com/a.wasm", "add @sha256:"},
		"https with a query":      {"it may have secrets in it", "https://example.com/a.wasm?x=1@" + someDigest, "query"},
		"https with escaped ..":   {"it leads out of what is allowed", "https://example.com/m/%2e%2e/a.wasm@" + someDigest, `".."`},
		"https without a path":    {"there is nothing to fetch", "https://example.com/@" + someDigest, "no path"},
		"ConfigMap without a key": {"it has several", "configmap://default/modules", "the namespace, the name and the key"},
		"ConfigMap with more":     {"keys have no slashes", "configmap://default/modules/a/b", "the namespace, the name and the key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.url)
			fails(t, err, tt.want)
		})
	}
}

func TestAllowedSources(t *testing.T) {
	tests := map[string]struct {
		reason, allowed, url string
		want                 bool
	}{
		"below":                      {"that is what it is for", "oci://ghcr.io/acme", "oci://ghcr.io/acme/site:1", true},
		"below, with a slash":        {"it is the same", "oci://ghcr.io/acme/", "oci://ghcr.io/acme/site:1", true},
		"the repository itself":      {"any tag of it", "oci://ghcr.io/acme/site", "oci://ghcr.io/acme/site:1", true},
		"one tag":                    {"it may be that one alone", "oci://ghcr.io/acme/site:1", "oci://ghcr.io/acme/site:1@" + someDigest, true},
		"another tag":                {"it begins alike", "oci://ghcr.io/acme/site:1", "oci://ghcr.io/acme/site:10", false},
		"another repository":         {"it begins alike", "oci://ghcr.io/acme", "oci://ghcr.io/acme-labs/site:1", false},
		"another port":               {"it is another registry", "oci://ghcr.io", "oci://ghcr.io:5000/acme/site:1", false},
		"another host":               {"it begins alike", "oci://ghcr.io", "oci://ghcr.io.example.com/acme/site:1", false},
		"another scheme":             {"it may be another server", "https://ghcr.io/", "oci://ghcr.io/acme/site:1", false},
		"a scheme":                   {"no files, then", "oci://", "file:///srv/a.wasm", false},
		"a folder":                   {"that is what it is for", "file:///srv", "file:///srv/a.wasm", true},
		"a folder that begins so":    {"it begins alike", "file:///srv", "file:///srv-old/a.wasm", false},
		"a digest, and nothing else": {"the digest does not say from where", "oci://ghcr.io/acme", "oci://evil.example/acme@" + someDigest, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref, err := Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			policy := Policy{AllowedSources: []string{"configmap://kube-system/", tt.allowed}}
			if err := policy.admit(ref); (err == nil) != tt.want {
				t.Errorf("%s: got %v", tt.reason, err)
			}
		})
	}
}
