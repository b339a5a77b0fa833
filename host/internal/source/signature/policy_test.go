package signature

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
)

func TestPolicyRefused(t *testing.T) {
	alice, bob := newPair(t), newPair(t)
	sigstore := newSigstore(t)
	trusted := sigstore.trustedRoot(t, everything)
	named := func(identities ...Identity) Policy { return Policy{Identities: identities, TrustedRoot: trusted} }
	key := Key{"alice", alice.publicPEM}
	tests := map[string]struct {
		reason string
		policy Policy
		want   string
	}{
		"nobody":           {"nothing would be accepted", Policy{}, "name a key or an identity"},
		"unknown require":  {"which is meant?", Policy{Keys: []Key{key}, Require: "most"}, `require: "most": want any or all`},
		"too many":         {"each costs time", Policy{Keys: make([]Key, maxSigners+1)}, "more than 32"},
		"key of no name":   {"errors tell of it", Policy{Keys: []Key{{"", alice.publicPEM}}}, `key 1: "": want a name of one line`},
		"key of two lines": {"errors tell of it", Policy{Keys: []Key{key, {"a\nb", bob.publicPEM}}}, `key 2: "a\nb": want a name of one line`},
		"no key":           {"it is damaged", Policy{Keys: []Key{{"alice", nil}}}, "key alice: it is not PEM"},
		"same name":        {"which is meant?", Policy{Keys: []Key{key, {"alice", bob.publicPEM}}}, "key alice: there are two of this name"},
		"same key":         {"one signature would count for two", Policy{Keys: []Key{key, {"bob", alice.publicPEM}}}, "key bob: it is the same key as alice"},

		"no trusted root":     {"nobody's word could be believed", Policy{Identities: []Identity{byBuilder}}, "identities need a trusted root"},
		"root alone":          {"who is meant?", Policy{Keys: []Key{key}, TrustedRoot: trusted}, "a trusted root without identities"},
		"root of no JSON":     {"it is damaged", Policy{Identities: []Identity{byBuilder}, TrustedRoot: []byte("root")}, "trusted root: it is not a Sigstore trusted root"},
		"root of another":     {"it is some other JSON", Policy{Identities: []Identity{byBuilder}, TrustedRoot: []byte("{}")}, "trusted root: it is not a Sigstore trusted root"},
		"root too large":      {"it would have to be held in memory", Policy{Identities: []Identity{byBuilder}, TrustedRoot: make([]byte, maxRoot+1)}, "trusted root: it is larger than 1024 KiB"},
		"root of nobody":      {"no certificate could be believed", Policy{Identities: []Identity{byBuilder}, TrustedRoot: sigstore.trustedRoot(t, parts{logs: true})}, "it has no certificate authority"},
		"root without a time": {"a certificate of the past would be as good", Policy{Identities: []Identity{byBuilder}, TrustedRoot: sigstore.trustedRoot(t, parts{authorities: true, ctLogs: map[string]*root.TransparencyLog{}})}, "neither a transparency log nor a timestamp authority"},

		"twice":               {"one would do", named(byBuilder, byBuilder), "is there twice"},
		"no subject":          {"anybody of the issuer could sign", named(Identity{Issuer: issuer}), "identity 1: give the subject, or a pattern for it"},
		"no issuer":           {"anybody could say that they are the subject", named(Identity{Subject: builder}), "identity 1: give the issuer, or a pattern for it"},
		"subject and pattern": {"which is meant?", named(Identity{Issuer: issuer, Subject: builder, SubjectRegExp: builder}), "give the subject or a pattern for it, not both"},
		"issuer and pattern":  {"which is meant?", named(Identity{Issuer: issuer, IssuerRegExp: issuer, Subject: builder}), "give the issuer or a pattern for it, not both"},
		"pattern that fails":  {"it matches nothing", named(Identity{Issuer: issuer, SubjectRegExp: "("}), "the subject's pattern: error parsing regexp"},
		"pattern that closes": {"it would get out of what anchors it", named(Identity{Issuer: issuer, SubjectRegExp: "a)|(?:b"}), "the subject's pattern: error parsing regexp"},
		"too long":            {"errors tell of it", named(Identity{Issuer: issuer, Subject: strings.Repeat("a", maxText+1)}), "the subject is longer than 1024 bytes"},
		"two lines":           {"errors tell of it", named(Identity{Issuer: issuer, Subject: "a\nb"}), "the subject must be one line"},
	}
	for _, everybody := range []string{".*", "^.*$", ".+", "(?s).*", `[\s\S]*`, ".*@.*", "^[^@]+@[^@]+$", `https://.*`, `https?://[^/]+/.*`, "a|.*", "(?i)NOBODY.*"} {
		tests["subject "+everybody] = struct {
			reason string
			policy Policy
			want   string
		}{"anybody of the issuer could sign", named(Identity{Issuer: issuer, SubjectRegExp: everybody}), "the subject's pattern allows everybody"}
	}
	for _, everybody := range []string{".*", "https://.*", `^https://[a-z.]+(/.*)?$`} {
		tests["issuer "+everybody] = struct {
			reason string
			policy Policy
			want   string
		}{"anybody could say that they are the subject", named(Identity{IssuerRegExp: everybody, Subject: builder}), "the issuer's pattern allows everybody"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := NewVerifier(tt.policy); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v and %v, want %q", tt.reason, got, err, tt.want)
			}
		})
	}
}

// TestPatterns signs as one subject and one issuer, and asks which patterns match them.
func TestPatterns(t *testing.T) {
	sigstore := newSigstore(t)
	signatures := []Signature{sigstore.classic(t, digest, builder, issuer)}
	tests := map[string]struct {
		reason   string
		identity Identity
		matches  bool
	}{
		"exact":            {"nothing else is meant", byBuilder, true},
		"anchored":         {"as cosign's users write them", Identity{Issuer: issuer, SubjectRegExp: "^[a-z]+@example.com$"}, true},
		"not anchored":     {"the whole must match", Identity{Issuer: issuer, SubjectRegExp: "[a-z]+@example.com"}, true},
		"part":             {"builder@example.com.evil.org would match too", Identity{Issuer: issuer, SubjectRegExp: "builder@example"}, false},
		"part, either":     {"an alternative is no way around", Identity{Issuer: issuer, SubjectRegExp: "x|builder"}, false},
		"end of a line":    {"a flag is no way around", Identity{Issuer: issuer, SubjectRegExp: "(?m)^builder$|x"}, false},
		"issuer":           {"patterns are for both", Identity{Subject: builder, IssuerRegExp: `https://(issuer|other)\.example\.com`}, true},
		"part of issuer":   {"https://issuer.example.com.evil.org would match too", Identity{Subject: builder, IssuerRegExp: `https://issuer`}, false},
		"upper case":       {"exact is exact", Identity{Issuer: issuer, Subject: "Builder@example.com"}, false},
		"pattern as exact": {"an exact text is no pattern", Identity{Issuer: issuer, Subject: "builder.example.com"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			policy := Policy{Identities: []Identity{tt.identity}, TrustedRoot: sigstore.trustedRoot(t, everything)}
			if _, err := newVerifier(t, policy).Verify(digest, signatures); (err == nil) != tt.matches {
				t.Errorf("%s: got %v, want a match: %t", tt.reason, err, tt.matches)
			}
		})
	}
}

func ExampleIdentity_String() {
	fmt.Println(Identity{Issuer: "https://issuer.example.com", SubjectRegExp: ".*@example.com"})
	// Output: /.*@example.com/ of https://issuer.example.com
}
