//go:build !linux

package localnode

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// Cluster is a running cluster with a node, which only Linux has.
type Cluster struct{}

// Init does nothing where there are no clusters.
func Init() {}

// Start says that a node needs Linux.
func Start(context.Context, Options) (*Cluster, error) {
	return nil, fmt.Errorf("%w: it is %s, and containers need Linux", ErrUnable, runtime.GOOS)
}

// Stop has nothing to stop.
func (c *Cluster) Stop() error { return nil }

// KubeconfigPath has none.
func (c *Cluster) KubeconfigPath() string { return "" }

// Process has none.
func (c *Cluster) Process() int { return 0 }

// Command has nothing to run it in.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// LoadImage has nobody to load it.
func (c *Cluster) LoadImage(context.Context, string) error { return ErrUnable }

// LoadProgram has nobody to load it.
func (c *Cluster) LoadProgram(context.Context, string, string) error { return ErrUnable }
