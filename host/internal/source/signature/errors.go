package signature

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// maxListed is how many refused signatures an error lists.
	maxListed = 5
	// maxReason is how long the reason for each may be, in bytes: parts of it may come from whoever signed.
	maxReason = 300
)

// Error says why a module's signatures do not suffice.
type Error struct {
	// Digest is that of the module's manifest.
	Digest string
	// Count is how many signatures the module has.
	Count int
	// Missing are the keys and identities by whom there is no valid signature, as the policy has them.
	Missing []string
	// AnyOf is true if a signature by one of Missing would do.
	AnyOf bool
	// Refused says of each signature that was not accepted why. It is empty where none was looked at.
	Refused []Refusal
}

// Refusal is a signature that was not accepted.
type Refusal struct {
	// Index is the signature's place among those of the module, counted from 0.
	Index int
	// Reason is one line.
	Reason string
}

// Error says what is missing, why signatures were refused, and what to do.
func (e *Error) Error() string {
	switch {
	case e.Count > maxSignatures:
		return fmt.Sprintf("%s has %d signatures, and at most %d are looked at: delete those that are not needed", e.Digest, e.Count, maxSignatures)
	case e.Unsigned():
		return fmt.Sprintf("%s is not signed: sign it by %s", e.Digest, e.wanted())
	}
	return fmt.Sprintf("%s has no valid signature by %s%s: sign it so, or change who may sign", e.Digest, e.wanted(), e.reasons())
}

// Unsigned says whether there are no signatures at all.
func (e *Error) Unsigned() bool { return e.Count == 0 }

func (e *Error) wanted() string {
	if e.AnyOf {
		return strings.Join(e.Missing, " or ")
	}
	return strings.Join(e.Missing, " and by ")
}

func (e *Error) reasons() string {
	if len(e.Refused) == 0 {
		return ""
	}
	var reasons []string
	for _, refusal := range e.Refused[:min(len(e.Refused), maxListed)] {
		reasons = append(reasons, fmt.Sprintf("signature %d: %s", refusal.Index+1, refusal.Reason))
	}
	if more := len(e.Refused) - maxListed; more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return " (" + strings.Join(reasons, "; ") + ")"
}

// brief returns an error as one line that harms no terminal.
func brief(err error) string {
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, err.Error())
	if len(line) > maxReason {
		line = strings.ToValidUTF8(line[:maxReason], "") + "…"
	}
	return line
}
