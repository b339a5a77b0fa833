package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// TestReloaderReadsAgain has the config read once more at the start, since it may have changed since it was read, and then for each
// change of a file that it names, and no more.
func TestReloaderReadsAgain(t *testing.T) {
	folder := t.TempDir()
	module := filepath.Join(folder, "m.wasm")
	write := func(text string) {
		if err := os.WriteFile(module, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	conf := &config.Config{Modules: map[string]config.Module{"m": {Source: "file://" + module}}}
	read := make(chan struct{}, 100)
	r := &reloader{engine: &Engine{config: conf, log: logr.Discard()}, Reload: Reload{
		File: filepath.Join(folder, "config.yaml"),
		Load: func() (*config.Config, error) {
			read <- struct{}{}
			return conf, nil
		},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Start(ctx) }()
	<-read
	write("another")
	<-read
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if len(read) > 0 {
		t.Error("it was read again though nothing had changed")
	}
	if err := r.engine.configTroubled(); err != nil {
		t.Errorf("the trouble is %v", err)
	}
}
