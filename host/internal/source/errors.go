package source

import (
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// downError says that a server could not be asked, which is not what it would have said.
type downError struct{ error }

// Unwrap returns the error underneath.
func (e *downError) Unwrap() error { return e.error }

// isDown says whether an error means that a server could not be asked.
func isDown(err error) bool {
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return isServers(response.StatusCode)
	}
	_, down := errors.AsType[*downError](err)
	return down || isConnection(err)
}

// isConnection says whether an error is one of the connection, and not of what was sent over it or of who is there.
func isConnection(err error) bool {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Op != "remote error" // which is TLS's
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// maxErrorText bounds what is shown of a server's error, in bytes.
const maxErrorText = 1024

// remoteError is an error in which a server may have had a say: its text is made harmless, and says what to do.
type remoteError struct {
	place string
	error
}

// Unwrap returns the error underneath.
func (e *remoteError) Unwrap() error { return e.error }

var (
	queryForm = regexp.MustCompile(`\?[^\s"?]*=[^\s"]*`)
	userForm  = regexp.MustCompile(`(https?://)[^\s"/@]*@`)
)

// Error says what went wrong where. Queries are left out, as servers redirect to storage with what gives access to it, and so
// is what would harm a terminal.
func (e *remoteError) Error() string {
	text := queryForm.ReplaceAllString(e.error.Error(), "")
	text = userForm.ReplaceAllString(text, "$1")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	if advice := adviceOn(e.error); advice != "" {
		text += ": " + advice
	}
	return e.place + ": " + text
}

// adviceOn says what to do about an error, if that is known.
func adviceOn(err error) string {
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		switch response.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return "check the credentials for it: those of docker login, or the pull secret"
		case http.StatusNotFound:
			return "check the repository's name, and that there are credentials for it"
		}
	}
	text := err.Error()
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return "there are no credentials for it: log in with docker login, or name a pull secret"
	case errors.Is(err, errdef.ErrNotFound):
		return "check the repository's name and the tag or digest: there is no such thing"
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "it speaks plain HTTP: allow that for it if that is meant"
	case strings.Contains(text, "certificate signed by unknown authority"):
		return "name the file with its certificate authority, if it is to be trusted"
	}
	return ""
}

// remote marks an error of a server.
func remote(place string, err error) error {
	if err == nil {
		return nil
	}
	return &remoteError{place, err}
}
