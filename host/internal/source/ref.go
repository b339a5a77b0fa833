package source

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"oras.land/oras-go/v2/registry"
)

// The schemes of source URLs.
const (
	schemeFile      = "file"
	schemeOCI       = "oci"
	schemeHTTPS     = "https"
	schemeConfigMap = "configmap"
)

// maxURL bounds a source URL's length, in bytes.
const maxURL = 2048

// forms are what the sources of each scheme look like.
var forms = map[string]string{
	schemeFile:      "file://ABSOLUTE/PATH[@sha256:HEX]",
	schemeOCI:       "oci://REGISTRY/REPOSITORY[:TAG][@sha256:HEX]",
	schemeHTTPS:     "https://HOST/PATH@sha256:HEX",
	schemeConfigMap: "configmap://NAMESPACE/NAME/KEY[@sha256:HEX]",
}

// Ref is a source URL in its parts.
type Ref struct {
	// Scheme is file, oci, https or configmap.
	Scheme string
	// Host is the registry or the server, with its port if the URL has one. Files and ConfigMaps have none.
	Host string
	// Path is a file's absolute path, a repository, a path on the server, or NAMESPACE/NAME/KEY.
	Path string
	// Tag is an OCI source's tag, if it has one.
	Tag string
	// Digest is what the source is pinned to, "" if to nothing: that of the manifest of an OCI source, and of the module itself
	// for all others.
	Digest string
}

// String returns the URL.
func (r Ref) String() string {
	text := r.Name()
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	return text
}

// Name returns the URL without the tag and the digest.
func (r Ref) Name() string {
	if r.Host != "" {
		return r.Scheme + "://" + r.Host + "/" + r.Path
	}
	return r.Scheme + "://" + r.Path
}

// pinned returns the same source, pinned to a digest.
func (r Ref) pinned(digest string) Ref {
	r.Digest = digest
	return r
}

var (
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tagForm        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	configMapForm  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+$`)
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
)

// Parse takes a source URL apart. It asks nobody, so that a config can be checked anywhere.
func Parse(source string) (Ref, error) {
	if len(source) > maxURL {
		return Ref{}, fmt.Errorf("the source is longer than %d bytes", maxURL)
	}
	scheme, rest, found := strings.Cut(source, "://")
	if !found || forms[scheme] == "" {
		return Ref{}, fmt.Errorf("source %q: want file://, oci://, https:// or configmap:// and what follows it, for instance %s", redact(source), forms[schemeOCI])
	}
	ref, err := parse(scheme, rest)
	if err != nil {
		return Ref{}, fmt.Errorf("source %q: %w (want %s)", redact(source), err, forms[scheme])
	}
	return ref, nil
}

func parse(scheme, rest string) (Ref, error) {
	ref := Ref{Scheme: scheme, Path: rest}
	if i := strings.LastIndex(rest, "@sha256:"); i >= 0 {
		ref.Path, ref.Digest = rest[:i], rest[i+1:]
		if !digestForm.MatchString(ref.Digest) {
			return Ref{}, fmt.Errorf("%q is no digest: it has sha256: and 64 hexadecimal digits in lower case", ref.Digest)
		}
	}
	if strings.ContainsFunc(ref.Path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Ref{}, errors.New("it has control characters in it")
	}
	switch scheme {
	case schemeFile:
		return parseFile(ref)
	case schemeOCI:
		return parseOCI(ref)
	case schemeHTTPS:
		return parseHTTPS(ref)
	default:
		return parseConfigMap(ref)
	}
}

func parseFile(ref Ref) (Ref, error) {
	if !strings.HasPrefix(ref.Path, "/") {
		return Ref{}, errors.New("its path is not absolute")
	}
	return ref, checkPath(ref.Path)
}

// checkPath refuses what could lead out of a folder that sources are allowed from.
func checkPath(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || part == "." {
			return fmt.Errorf("its path has %q in it: write it without", part)
		}
	}
	return nil
}

func parseOCI(ref Ref) (Ref, error) {
	host, rest, _ := strings.Cut(ref.Path, "/")
	if strings.Contains(host, "@") {
		return Ref{}, errCredentials
	}
	repository, tag, tagged := strings.Cut(rest, ":")
	ref.Host, ref.Path, ref.Tag = host, repository, tag
	switch {
	case host == "" || host != strings.ToLower(host) || (registry.Reference{Registry: host}).ValidateRegistry() != nil:
		return Ref{}, fmt.Errorf("%q is no registry: want a host in lower case, with a port if it needs one", host)
	case !repositoryForm.MatchString(repository):
		return Ref{}, fmt.Errorf("%q is no repository: want parts of lower-case letters and digits, between them /, and within them ., _ or -", repository)
	case tagged && !tagForm.MatchString(tag):
		return Ref{}, fmt.Errorf("%q is no tag: want up to 128 letters, digits, ., _ and -", tag)
	case tag == "" && ref.Digest == "":
		return Ref{}, errors.New("it has neither a tag nor a digest: add :TAG, or @sha256: and the manifest's digest")
	}
	return ref, nil
}

// errCredentials says nothing of the URL, which has them.
var errCredentials = errors.New("credentials are not for a URL: log in with docker login, or use a pull secret")

func parseHTTPS(ref Ref) (Ref, error) {
	parsed, err := url.Parse(schemeHTTPS + "://" + ref.Path)
	switch {
	case err != nil:
		return Ref{}, errors.New("it is no valid URL")
	case parsed.User != nil:
		return Ref{}, errCredentials
	case parsed.Host == "" || parsed.Host != strings.ToLower(parsed.Host):
		return Ref{}, errors.New("it needs a host, in lower case")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return Ref{}, errors.New("it has a query or a fragment: modules are had by their path alone")
	case strings.Trim(parsed.Path, "/") == "":
		return Ref{}, errors.New("it has no path")
	case ref.Digest == "":
		return Ref{}, errors.New("it has no digest: add @sha256: and the module's digest, which sha256sum prints")
	}
	ref.Host, ref.Path, _ = strings.Cut(ref.Path, "/")
	return ref, checkPath(parsed.Path)
}

func parseConfigMap(ref Ref) (Ref, error) {
	if !configMapForm.MatchString(ref.Path) {
		return Ref{}, errors.New("it needs the namespace, the name and the key of a ConfigMap")
	}
	return ref, nil
}

// redact takes what may be a password out of a URL that is to be shown.
func redact(source string) string {
	scheme, rest, found := strings.Cut(source, "://")
	host, tail, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(host, "@"); found && i >= 0 && scheme != schemeFile {
		return scheme + "://REDACTED@" + path.Join(host[i+1:], tail)
	}
	return source
}
