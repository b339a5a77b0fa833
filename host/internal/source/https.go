package source

import (
	"context"
	"fmt"
	"net/http"
)

// readHTTPS reads a module from a web server, or from the store. The server needs no trust: the URL has the digest.
func (c *Client) readHTTPS(ctx context.Context, ref Ref) ([]byte, error) {
	if stored := c.store.get(ref.Digest); stored != nil && stored.isPlain() {
		return stored.raw, nil
	}
	wasm, err := c.download(ctx, ref)
	if err != nil {
		return nil, remote(ref.Host, err)
	}
	if digestOf(wasm) == ref.Digest {
		c.keep(ref, plainArtifact(wasm))
	}
	return wasm, nil
}

func (c *Client) download(ctx context.Context, ref Ref) ([]byte, error) {
	client, err := c.httpClient(ref.Host)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ref.Name(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	if response.ContentLength > maxModule {
		return nil, errTooLarge
	}
	return readBounded(c.progress(ref, response.Body, response.ContentLength))
}
