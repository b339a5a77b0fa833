package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// host is a running wasmloop process.
type host struct{ *process.Process }

type hostOptions struct {
	config string
	args   []string
}

// startHost starts wasmloop run against the shared cluster.
func startHost(options hostOptions) (*host, error) {
	args := append([]string{
		"run", "--config", options.config, "--kubeconfig", cluster.KubeconfigPath(), "--log-format", "json",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0",
		"--cache-dir", filepath.Join(built, "compiled"),
	}, options.args...)
	return startProcess(args...)
}

func startProcess(args ...string) (*host, error) {
	started, err := process.Start(exec.Command(filepath.Join(built, "wasmloop"), args...))
	return &host{started}, err
}

// waitForLog waits for a log line that has all the parts.
func (h *host) waitForLog(t *testing.T, parts ...string) {
	t.Helper()
	eventually(t, func() error { return h.Said(parts...) })
}
