package source

import (
	"fmt"
	"strings"
)

// CheckHost says what is wrong with the name of a registry or a server: HOST or HOST:PORT.
func CheckHost(host string) error {
	_, err := Parse(schemeOCI + "://" + host + "/repository:tag")
	if err != nil {
		return fmt.Errorf("%q is no registry: want HOST or HOST:PORT, in lower case", redact(host))
	}
	return nil
}

// CheckMirror says what is wrong with a mirror: HOST or HOST/PATH.
func CheckMirror(mirror string) error {
	if _, err := Parse(schemeOCI + "://" + strings.TrimSuffix(mirror, "/") + "/repository:tag"); err != nil {
		return fmt.Errorf("%q is no mirror: want HOST or HOST/PATH, without a scheme", redact(mirror))
	}
	return nil
}

// CheckPrefix says what is wrong with the beginning of source URLs.
func CheckPrefix(prefix string) error {
	scheme, rest, found := strings.Cut(prefix, "://")
	if !found || forms[scheme] == "" || rest == "" {
		return fmt.Errorf("allowed source %q: want the beginning of a source URL, for instance oci://ghcr.io/acme/", redact(prefix))
	}
	return nil
}
