// Package source fetches modules from where the config says they are, and brings them there: OCI registries, files, web
// servers and ConfigMaps.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// maxModule bounds a module's size: far above what compilers make, and small enough to be read into memory.
const maxModule = 256 << 20 // bytes

// Module is a module as it was fetched.
type Module struct {
	// Bytes are the WebAssembly binary.
	Bytes []byte
	// Digest is their digest: "sha256:" and 64 hexadecimal digits.
	Digest string
	// Manifest is the digest of the manifest that a registry has the module by. Other sources have none.
	Manifest string
	// Pinned is the source's URL with the digest that it was resolved to: it gives these bytes for ever.
	Pinned string
	// Annotations are those of the manifest: whoever pushed the module says so of it.
	Annotations map[string]string
	// Stale is why the registry could not be asked what the tag is now. The module is what it was when last asked.
	Stale error
}

// Options are the optional settings of a Client. The zero value works.
type Options struct {
	// StoreDir is the folder of the local store of modules, writable for this user alone. Empty: none.
	StoreDir string
	// StoreLimit bounds it, in bytes; what was not used for longest goes first. 0: 1 GiB.
	StoreLimit int64
	// Registries are the settings of registries and servers that need some, by HOST or HOST:PORT as URLs have it.
	Registries map[string]Registry
	// Credentials returns the contents of .dockerconfigjson files, as pull secrets have them. They are asked for in each fetch
	// that a registry wants credentials for, and go before those of Docker's own config and its helpers. Nil: none.
	Credentials func(context.Context) ([][]byte, error)
	// ConfigMap reads a ConfigMap. Nil: configmap:// sources are refused.
	ConfigMap func(ctx context.Context, namespace, name string) (data map[string]string, binaryData map[string][]byte, err error)
	// Policy is what is demanded of modules.
	Policy Policy
	// Progress is told how far a transfer of a module is, often, and by several goroutines if there are several fetches.
	Progress func(Progress)
	// Warn is told what went wrong without harm: that a module could not be kept in the store. Nil: nobody is.
	Warn func(error)
	// Timeout bounds a fetch with all that belongs to it, and IdleTimeout how long a server may send nothing within it.
	// 0: 5 minutes and 30 seconds.
	Timeout, IdleTimeout time.Duration

	// backoff is the least time between tries: tests have none to lose.
	backoff time.Duration
}

// Registry is how to reach a registry.
type Registry struct {
	// PlainHTTP says to use http instead of https, for credentials too. A registry on this machine's own loopback address
	// that has no settings is spoken to in plain HTTP.
	PlainHTTP bool
	// CAFile has the certificates (PEM) of authorities to trust beside those of the system.
	CAFile string
	// Mirrors are asked first, in this order: HOST or HOST/PATH, under which the repositories are. They have settings and
	// credentials of their own. What a mirror says of a tag is believed.
	Mirrors []string
}

// Progress is how far a transfer is.
type Progress struct {
	// URL is the source, without its digest.
	URL string
	// Done and Total are bytes.
	Done, Total int64
}

// Client fetches and brings modules. It is safe for concurrent use.
type Client struct {
	options Options
	store   *store // nil: none

	mu    sync.Mutex
	hosts map[string]*http.Client
}

// New returns a Client.
func New(options Options) (*Client, error) {
	if err := options.Policy.check(); err != nil {
		return nil, err
	}
	setDefault(&options.StoreLimit, 1<<30)
	setDefault(&options.Timeout, 5*time.Minute)
	setDefault(&options.IdleTimeout, 30*time.Second)
	setDefault(&options.backoff, 250*time.Millisecond)
	if options.Warn == nil {
		options.Warn = func(error) {}
	}
	c := &Client{options: options, hosts: map[string]*http.Client{}}
	if options.StoreDir == "" {
		return c, nil
	}
	var err error
	if c.store, err = openStore(options.StoreDir, options.StoreLimit); err != nil {
		return nil, fmt.Errorf("cannot open the store of modules %s: %w", options.StoreDir, err)
	}
	return c, nil
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// Fetch fetches a module with a Client of its own that has no settings.
func Fetch(ctx context.Context, url string) (*Module, error) {
	c, err := New(Options{})
	if err != nil {
		return nil, err
	}
	return c.Fetch(ctx, url)
}

// Fetch fetches the module at a source URL, as far as the policy lets it. A missing file is an error that wraps
// fs.ErrNotExist.
func (c *Client) Fetch(ctx context.Context, url string) (*Module, error) {
	ref, err := Parse(url)
	if err != nil {
		return nil, err
	}
	var module *Module
	err = c.within(ctx, func(ctx context.Context) (err error) {
		if err = c.options.Policy.admit(ref); err == nil {
			module, err = c.fetch(ctx, ref)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", ref, err)
	}
	return module, nil
}

func (c *Client) fetch(ctx context.Context, ref Ref) (*Module, error) {
	if ref.Scheme == schemeOCI {
		return c.fetchOCI(ctx, ref)
	}
	wasm, err := c.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	module := &Module{Bytes: wasm, Digest: digestOf(wasm)}
	module.Pinned = ref.pinned(module.Digest).String()
	if ref.Digest != "" && ref.Digest != module.Digest {
		return nil, fmt.Errorf("its digest is %s, and not that of the URL: it is another module, or was changed", module.Digest)
	}
	return module, c.options.Policy.verify(ctx, Subject{URL: ref.String(), Digest: module.Digest})
}

// read reads a module from where there are no manifests.
func (c *Client) read(ctx context.Context, ref Ref) ([]byte, error) {
	switch ref.Scheme {
	case schemeFile:
		return readFile(ref.Path)
	case schemeHTTPS:
		return c.readHTTPS(ctx, ref)
	default:
		return c.readConfigMap(ctx, ref)
	}
}

// Resolve returns a source's URL with the digest that it has now. Of a registry it asks nothing else, and of a source that
// is pinned already nothing at all.
func (c *Client) Resolve(ctx context.Context, url string) (pinned string, err error) {
	ref, err := Parse(url)
	if err != nil || ref.Digest != "" {
		return ref.String(), err
	}
	if ref.Scheme != schemeOCI {
		module, err := c.Fetch(ctx, url)
		if err != nil {
			return "", err
		}
		return module.Pinned, nil
	}
	err = c.within(ctx, func(ctx context.Context) (err error) {
		if err = c.options.Policy.admitTag(ref); err == nil {
			ref.Digest, err = c.resolve(ctx, ref)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot resolve %s: %w", ref, err)
	}
	return ref.String(), nil
}

// within does something within the time that there is for it.
func (c *Client) within(ctx context.Context, do func(context.Context) error) error {
	late := &downError{fmt.Errorf("it took longer than %s", c.options.Timeout)}
	timed, cancel := context.WithTimeoutCause(ctx, c.options.Timeout, late)
	defer cancel()
	err := do(timed)
	if err != nil && ctx.Err() == nil && context.Cause(timed) == late { //nolint:errorlint // it is this very one, or another ended it
		return fmt.Errorf("%w: %w", late, err)
	}
	return err
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
