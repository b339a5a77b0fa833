package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

// keyFiles makes a pair of keys in a new folder, and goes there.
func keyFiles(t *testing.T, password string) {
	t.Helper()
	t.Setenv(passwordVariables[0], password)
	if got := run(t, nil, "keygen", "--out", "team"); got.Code != exitOK {
		t.Fatal(got.Stderr)
	}
}

func TestLoadPrivateKey(t *testing.T) {
	keyFiles(t, "a secret")
	if err := os.WriteFile("huge.key", make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason   string
		path     string
		password string
		want     string // empty: it is read
		is       error
	}{
		"right password": {"the variable has it", "team.key", "a secret", "", nil},
		"wrong password": {"it says of which key", "team.key", "a secrte", "team.key: cannot decrypt the key: the password is wrong", nil},
		"public key":     {"the wrong one of two files", "team.pub", "", "team.pub: it is a public key", nil},
		"missing":        {"who calls can tell", "none.key", "", "cannot read the key", fs.ErrNotExist},
		"too large":      {"it is no key", "huge.key", "", "larger than 1 MiB", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(passwordVariables[0], tt.password)
			var stderr bytes.Buffer
			got, err := loadPrivateKey(t.Context(), tt.path, &stderr)
			if tt.want == "" && (err != nil || got == nil) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got error %v, want %q", tt.reason, err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || stderr.Len() > 0 {
				t.Errorf("%s: got error %v and asked %q", tt.reason, err, stderr.String())
			}
		})
	}
}

// parseSigners gives arguments to a command with signerFlags.
func parseSigners(t *testing.T, args ...string) *signerFlags {
	t.Helper()
	flags, command := &signerFlags{}, &cobra.Command{}
	flags.register(command)
	if err := command.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestSignerFlags(t *testing.T) {
	keyFiles(t, "")
	public, err := os.ReadFile("team.pub")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("root.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		args   []string
		want   signature.Policy
	}{
		"key": {
			"any is what is meant by default",
			[]string{"--key", "team.pub"},
			signature.Policy{Keys: []signature.Key{{Name: "team.pub", PEM: public}}, Require: signature.Any},
		},
		"keys": {
			"each has its file's name",
			[]string{"--key", "team.pub", "--key", filepath.Join(".", "team.pub"), "--require", "all"},
			signature.Policy{Keys: []signature.Key{{Name: "team.pub", PEM: public}, {Name: "team.pub", PEM: public}}, Require: signature.All},
		},
		"identity": {
			"as cosign has it",
			[]string{"--certificate-identity", "a@example.com", "--certificate-oidc-issuer", "https://example.com", "--trusted-root", "root.json"},
			signature.Policy{
				Identities: []signature.Identity{{Issuer: "https://example.com", Subject: "a@example.com"}}, TrustedRoot: []byte("{}"), Require: signature.Any,
			},
		},
		"patterns": {
			"as cosign has them",
			[]string{"--certificate-identity-regexp", ".*@example.com", "--certificate-oidc-issuer-regexp", "https://.*.example.com", "--trusted-root", "root.json"},
			signature.Policy{
				Identities: []signature.Identity{{IssuerRegExp: "https://.*.example.com", SubjectRegExp: ".*@example.com"}}, TrustedRoot: []byte("{}"), Require: signature.Any,
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseSigners(t, tt.args...).policy()
			if err != nil {
				t.Fatalf("%s: %v", tt.reason, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
	verifier, err := parseSigners(t, "--key", "team.pub").verifier()
	if err != nil {
		t.Fatal(err)
	}
	key, err := loadPrivateKey(t.Context(), "team.key", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("a1", 32)
	signed, err := signature.Sign(key, digest, "registry.example.com/module")
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifier.Verify(digest, []signature.Signature{signed})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&signature.Verified{Signers: []signature.Signer{{Name: "key team.pub"}}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSignerFlagsFail(t *testing.T) {
	keyFiles(t, "")
	if err := os.WriteFile("root.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"nobody":          {"it would be anybody", nil, "name somebody who may sign: --key FILE"},
		"private key":     {"the wrong one of two files", []string{"--key", "team.key"}, "cannot verify: key team.key: it is a private key"},
		"missing key":     {"a typo", []string{"--key", "none.pub"}, "cannot read the key: open none.pub"},
		"unknown require": {"a typo must not leave the default in force", []string{"--key", "team.pub", "--require", "both"}, `require: "both": want any or all`},
		"no issuer":       {"anybody could say so", []string{"--certificate-identity", "a@example.com", "--trusted-root", "root.json"}, "needs --certificate-oidc-issuer"},
		"no subject":      {"it would be anybody", []string{"--certificate-oidc-issuer", "https://example.com"}, "needs --certificate-identity"},
		"no root":         {"nobody's word could be believed", []string{"--certificate-identity", "a", "--certificate-oidc-issuer", "b"}, "needs --trusted-root FILE"},
		"root alone":      {"it names nobody", []string{"--key", "team.pub", "--trusted-root", "root.json"}, "--trusted-root needs --certificate-identity"},
		"missing root":    {"a typo", []string{"--certificate-identity", "a", "--certificate-oidc-issuer", "b", "--trusted-root", "none"}, "cannot read the trusted root: open none"},
		"no trusted root": {"it is some other JSON", []string{"--certificate-identity", "a", "--certificate-oidc-issuer", "b", "--trusted-root", "root.json"}, "it is not a Sigstore trusted root"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parseSigners(t, tt.args...).verifier(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", tt.reason, err, tt.want)
			}
		})
	}
}
