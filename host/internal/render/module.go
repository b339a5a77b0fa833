package render

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Sandbox is where modules run. Close lets it go.
type Sandbox struct {
	runtime *guest.Runtime
	source  *source.Client
}

// SandboxOptions are the optional settings of a Sandbox.
type SandboxOptions struct {
	// CacheDir is a folder for compiled modules. Empty: none.
	CacheDir string
	// Seed and Epoch are what modules take for randomness and for the time: see guest.Options.
	Seed  uint64
	Epoch time.Time
	// Source fetches modules. nil: one without any settings.
	Source *source.Client
}

// Source returns what fetches the modules of a config as a host would, but for what a host has from its cluster: pull secrets and
// ConfigMaps.
func Source(conf *config.Config, options source.Options) (*source.Client, error) {
	return setup.Source(conf, options)
}

// CacheDir is the folder for compiled modules of this user, empty if there is no place for one.
func CacheDir() string {
	folder, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "wasmloop")
}

// NewSandbox returns a Sandbox.
func NewSandbox(ctx context.Context, options SandboxOptions) (*Sandbox, error) {
	runtime, err := guest.NewRuntime(ctx, guest.Options{CacheDir: options.CacheDir, Seed: options.Seed, Epoch: options.Epoch})
	if err != nil {
		return nil, err
	}
	go apiserver.Preload() // modules that are loaded here are called over a cluster
	return &Sandbox{runtime, options.Source}, nil
}

// Close lets all modules go.
func (s *Sandbox) Close(ctx context.Context) error { return s.runtime.Close(ctx) }

// Module is a module in a sandbox. It implements reconcile.Module, and is safe for concurrent use.
type Module struct{ guest *guest.Module }

// Load loads a module from a URL, with the limits of an entry; nil stands for the defaults.
func (s *Sandbox) Load(ctx context.Context, url string, entry *config.Controller) (*Module, error) {
	var limits guest.Limits
	var err error
	if entry != nil {
		if limits, err = setup.Limits(entry.Limits); err != nil {
			return nil, err
		}
	}
	fetch := source.Fetch
	if s.source != nil {
		fetch = s.source.Fetch
	}
	fetched, err := fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	loaded, err := s.runtime.Load(ctx, fetched.Bytes, limits, guest.Hermetic)
	if err != nil {
		return nil, err
	}
	return &Module{loaded}, nil
}

// Call calls the module.
func (m *Module) Call(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
	response, _, err := m.CallFuel(ctx, request, log)
	return response, err
}

// CallFuel calls the module, and says how much fuel that has used.
func (m *Module) CallFuel(ctx context.Context, request []byte, log func(abi.Level, string)) (response []byte, fuel uint64, err error) {
	result, err := m.guest.Call(ctx, request, log)
	return result.Response, result.Fuel, err
}
