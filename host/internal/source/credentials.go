package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// maxSecret bounds the contents of a .dockerconfigjson, in bytes: a Secret can have no more.
const maxSecret = 1 << 20

// session is what belongs to one operation: the credentials that it asked for, and the tokens that it was given for them.
type session struct {
	client *Client
	tokens auth.Cache

	once  sync.Once
	store credentials.Store
	err   error
}

func (c *Client) newSession() *session { return &session{client: c, tokens: auth.NewCache()} }

// credential returns the credentials for a host. They are looked for when a registry asks for some.
func (s *session) credential(ctx context.Context, host string) (auth.Credential, error) {
	s.once.Do(func() { s.store, s.err = s.client.credentialStore(ctx) })
	if s.err != nil {
		return auth.EmptyCredential, s.err
	}
	credential, err := credentials.Credential(s.store)(ctx, host)
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("cannot get the credentials for %s: %w", host, err)
	}
	return credential, nil
}

// credentialStore returns pull secrets and after them Docker's own config with its helpers.
func (c *Client) credentialStore(ctx context.Context) (credentials.Store, error) {
	var stores []credentials.Store
	if c.options.Credentials != nil {
		secrets, err := c.options.Credentials(ctx)
		if err != nil {
			return nil, fmt.Errorf("cannot get the pull secrets: %w", err)
		}
		for i, secret := range secrets {
			store, err := credentials.NewMemoryStoreFromDockerConfig(secret)
			if err != nil || len(secret) > maxSecret {
				return nil, fmt.Errorf("pull secret %d of %d is no .dockerconfigjson as docker login writes it", i+1, len(secrets)) // err might show it
			}
			stores = append(stores, store)
		}
	}
	docker, err := dockerStore()
	if err != nil {
		return nil, err
	}
	return credentials.NewStoreWithFallbacks(credentials.NewMemoryStore(), append(stores, docker)...), nil
}

// dockerStore returns what docker login has written, which may be nothing. A host in a container has no home to have it in.
func dockerStore() (credentials.Store, error) {
	folder := os.Getenv("DOCKER_CONFIG")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return credentials.NewMemoryStore(), nil //nolint:nilerr // no home, no credentials in it
		}
		folder = filepath.Join(home, ".docker")
	}
	file := filepath.Join(folder, "config.json")
	store, err := credentials.NewStore(file, credentials.StoreOptions{})
	switch {
	case err == nil:
		return store, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot read Docker's config %s: %w", file, fs.ErrPermission)
	default:
		return nil, fmt.Errorf("the config of Docker, %s, is not valid: mend it, or set DOCKER_CONFIG to another folder", file) // err might show it
	}
}
