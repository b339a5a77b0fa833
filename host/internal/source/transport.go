package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"oras.land/oras-go/v2/registry/remote/retry"
)

// The bounds of what is accepted from a server beside contents.
const (
	maxRedirects = 5
	maxRetries   = 4
	maxWait      = 5 * time.Second // between tries, whatever a server asks for
	maxHeader    = 256 << 10       // bytes
	maxCAFile    = 1 << 20         // bytes
)

// httpClient returns the client for a host: its certificate authorities, proxies as the environment has them, few tries, few
// redirects, and no patience with a server that sends nothing.
func (c *Client) httpClient(host string) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.hosts[host]; client != nil {
		return client, nil
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxResponseHeaderBytes = maxHeader
	base.DisableCompression = true // modules have a digest, and what is unpacked a bound
	if file := c.options.Registries[host].CAFile; file != "" {
		roots, err := readAuthorities(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the certificate authorities of %s: %w", host, err)
		}
		base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	tries := retry.NewTransport(&idleTransport{base, c.options.IdleTimeout})
	tries.Policy = c.retryPolicy
	client := &http.Client{Transport: tries, CheckRedirect: checkRedirect}
	c.hosts[host] = client
	return client, nil
}

// readAuthorities returns the certificate authorities of the system and those of a file.
func readAuthorities(file string) (*x509.CertPool, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }() // it was only read
	pem, err := io.ReadAll(io.LimitReader(opened, maxCAFile))
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificates in PEM form", file)
	}
	return roots, nil
}

// checkRedirect bounds redirects, and keeps what began in private from going on in public. Credentials stay behind anyway.
func checkRedirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	if via[0].URL.Scheme == schemeHTTPS && to.URL.Scheme != schemeHTTPS {
		return fmt.Errorf("it redirects from https to %s, which anybody on the way could change", to.URL.Scheme)
	}
	return nil
}

func (c *Client) retryPolicy() retry.Policy {
	return &retry.GenericPolicy{
		Retryable: func(response *http.Response, err error) (bool, error) { return isRetryable(response, err), nil },
		Backoff:   retry.ExponentialBackoff(c.options.backoff, 2, 0.1),
		MinWait:   c.options.backoff,
		MaxWait:   maxWait,
		MaxRetry:  maxRetries,
	}
}

// isRetryable says whether another try may do better: the connection failed, or the server has too much to do or is at fault.
func isRetryable(response *http.Response, err error) bool {
	if err != nil {
		return isConnection(err)
	}
	return isServers(response.StatusCode)
}

func isServers(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError && status != http.StatusNotImplemented
}

// idleTransport ends requests in which nothing was sent or received for so long.
type idleTransport struct {
	base http.RoundTripper
	idle time.Duration
}

var errIdle = &downError{errors.New("the server has sent nothing for too long")}

// RoundTrip implements http.RoundTripper.
func (t *idleTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(t.idle, func() { cancel(errIdle) })
	again := func() { timer.Reset(t.idle) }
	end := func() {
		timer.Stop()
		cancel(context.Canceled)
	}
	request = request.Clone(ctx)
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = &watchedBody{request.Body, ctx, again, func() {}}
	}
	response, err := t.base.RoundTrip(request)
	if err != nil {
		err = causeOf(ctx, err)
		end()
		return nil, err
	}
	response.Body = &watchedBody{response.Body, ctx, again, end}
	return response, nil
}

// causeOf returns why a request was ended, if that is why it failed.
func causeOf(ctx context.Context, err error) error {
	if context.Cause(ctx) == errIdle { //nolint:errorlint // it is this very one
		return errIdle
	}
	return err
}

// watchedBody says when something was read.
type watchedBody struct {
	io.ReadCloser
	ctx        context.Context //nolint:containedctx // it is that of the request, which the body belongs to
	again, end func()
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.again()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = causeOf(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
