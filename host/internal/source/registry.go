package source

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"oras.land/oras-go/v2/registry"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	maxManifest = 4 << 20 // bytes
	maxPages    = 10      // of a list of signatures
	userAgent   = "wasmloop"
)

// repository returns the repository of a host.
func (s *session) repository(host, path string) (*orasremote.Repository, error) {
	client, err := s.client.httpClient(host)
	if err != nil {
		return nil, err
	}
	return &orasremote.Repository{
		Reference:            registry.Reference{Registry: host, Repository: path},
		PlainHTTP:            s.client.plainHTTP(host),
		MaxMetadataBytes:     maxManifest,
		ReferrerListMaxPages: maxPages,
		Client: &auth.Client{
			Client:     client,
			Header:     http.Header{"User-Agent": {userAgent}},
			Cache:      s.tokens,
			Credential: s.credential,
		},
	}, nil
}

// plainHTTP says whether to use http for a host. On the loopback nobody listens, and registries for trying things out run there.
func (c *Client) plainHTTP(host string) bool {
	if settings, ok := c.options.Registries[host]; ok {
		return settings.PlainHTTP
	}
	name := host
	if split, _, err := net.SplitHostPort(host); err == nil {
		name = split
	}
	address := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || address != nil && address.IsLoopback()
}

// own returns the repository that a source names.
func (s *session) own(ref Ref) (*orasremote.Repository, error) {
	return s.repository(ref.Host, ref.Path)
}

// places returns the repositories that a source may be read from: those of mirrors, and last its own.
func (s *session) places(ref Ref) ([]*orasremote.Repository, error) {
	var places []*orasremote.Repository
	for _, mirror := range s.client.options.Registries[ref.Host].Mirrors {
		host, prefix, _ := strings.Cut(strings.TrimSuffix(mirror, "/"), "/")
		place, err := s.repository(host, strings.TrimPrefix(prefix+"/"+ref.Path, "/"))
		if err != nil {
			return nil, err
		}
		if err := place.Reference.ValidateRegistry(); err != nil {
			return nil, fmt.Errorf("mirror %q of %s is no HOST or HOST/PATH", mirror, ref.Host)
		}
		places = append(places, place)
	}
	own, err := s.own(ref)
	if err != nil {
		return nil, err
	}
	return append(places, own), nil
}

// try asks one place after the other until one answers.
func (s *session) try(ctx context.Context, ref Ref, ask func(*orasremote.Repository) error) error {
	places, err := s.places(ref)
	if err != nil {
		return err
	}
	var before []string
	for _, place := range places {
		if err = remote(place.Reference.Registry, ask(place)); err == nil || ctx.Err() != nil {
			return err
		}
		if place != places[len(places)-1] {
			before = append(before, fmt.Sprintf("mirror %v", err))
		}
	}
	if len(before) > 0 { // what the registry itself says decides
		return fmt.Errorf("%w (%s)", err, strings.Join(before, "; "))
	}
	return err
}

// reference is what a registry knows a source's manifest by.
func (r Ref) reference() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

// resolve asks a registry for the digest that a tag has now.
func (c *Client) resolve(ctx context.Context, ref Ref) (digest string, err error) {
	err = c.newSession().try(ctx, ref, func(place *orasremote.Repository) error {
		manifest, err := place.Resolve(ctx, ref.Tag)
		if err == nil && !digestForm.MatchString(string(manifest.Digest)) {
			err = fmt.Errorf("its digest %q is not of sha256", manifest.Digest)
		}
		digest = string(manifest.Digest)
		return err
	})
	return digest, err
}
