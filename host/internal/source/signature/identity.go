package signature

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Nobody has these names: .invalid is reserved. A pattern that matches one of them does not say who may sign.
var (
	noIssuers  = []string{"https://nobody.invalid", "https://nobody.invalid/nothing"}
	noSubjects = []string{"nobody", "nobody@nobody.invalid", "https://nobody.invalid/nothing", "https://nobody.invalid/no/thing/.no/thing/no.yml@refs/heads/no"}
)

func newIdentity(given Identity) (identity, error) {
	issuer, err := pattern("issuer", given.Issuer, given.IssuerRegExp, noIssuers)
	if err != nil {
		return identity{}, err
	}
	subject, err := pattern("subject", given.Subject, given.SubjectRegExp, noSubjects)
	if err != nil {
		return identity{}, err
	}
	matcher, err := verify.NewShortCertificateIdentity(given.Issuer, issuer, given.Subject, subject)
	if err != nil {
		return identity{}, err
	}
	return identity{name: "identity " + given.String(), matcher: matcher}, nil
}

// pattern returns the pattern such that it matches the whole of a text. It is empty if there is an exact text instead.
func pattern(field, exact, given string, nobody []string) (string, error) {
	switch {
	case exact == "" && given == "":
		return "", fmt.Errorf("give the %s, or a pattern for it", field)
	case exact != "" && given != "":
		return "", fmt.Errorf("give the %s or a pattern for it, not both", field)
	case len(exact)+len(given) > maxText:
		return "", fmt.Errorf("the %s is longer than %d bytes", field, maxText)
	case strings.ContainsFunc(exact+given, notPrintable):
		return "", fmt.Errorf("the %s must be one line: %q", field, exact+given)
	case exact != "":
		return "", nil
	}
	if _, err := regexp.Compile(given); err != nil { // alone: a lone bracket must not end the one that is put around it
		return "", fmt.Errorf("the %s's pattern: %w", field, err)
	}
	whole := `\A(?:` + given + `)\z`
	compiled, err := regexp.Compile(whole)
	if err != nil {
		return "", fmt.Errorf("the %s's pattern: %w", field, err)
	}
	if slices.ContainsFunc(nobody, compiled.MatchString) {
		return "", fmt.Errorf("the %s's pattern allows everybody: %q: name an organisation or a host in it", field, given)
	}
	return whole, nil
}
