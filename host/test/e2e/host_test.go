package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const stopTimeout = 20 * time.Second

// host is a running wasmloop process.
type host struct {
	command *exec.Cmd
	output  *buffer
	ended   chan struct{}
	err     error // of the process, once ended is closed
}

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
	h := &host{output: &buffer{}, ended: make(chan struct{})}
	h.command = exec.Command(filepath.Join(built, "wasmloop"), args...)
	h.command.Stdout, h.command.Stderr = h.output, h.output
	if err := h.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		h.err = h.command.Wait()
		close(h.ended)
	}()
	return h, nil
}

// stop interrupts the host as Ctrl-C does, and returns an error unless it ends well.
func (h *host) stop() error {
	if err := h.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-h.ended:
		return h.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the host does not end within %s of Ctrl-C", stopTimeout), h.command.Process.Kill())
	}
}

func (h *host) log() string { return h.output.String() }

// waitForLog waits for a log line that has all the parts.
func (h *host) waitForLog(t *testing.T, parts ...string) {
	t.Helper()
	eventually(t, func() error {
		for line := range strings.Lines(h.log()) {
			if containsAll(line, parts) {
				return nil
			}
		}
		return fmt.Errorf("no log line has all of %q", parts)
	})
}

func containsAll(s string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

// buffer is a bytes.Buffer for concurrent use.
type buffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
