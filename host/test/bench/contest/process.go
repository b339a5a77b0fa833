// Package contest is what the benchmarks on a real control plane share: contenders as processes of their own, what they use
// of CPU and memory, the requests that they make, and verdicts on what was measured.
package contest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Contender is a program to be measured. It has one controller, whose name is "bench".
type Contender struct {
	Name string
	// Agent is what the name of its requests' sender begins with.
	Agent string
	Path  string
	Args  []string
}

// Host returns the host of a folder with a config, and with a folder for what it keeps.
func Host(name, bin, config, cacheDir string) Contender {
	return Contender{Name: name, Agent: "wasmloop", Path: filepath.Join(bin, "wasmloop"), Args: []string{
		"run", "--config", config, "--health-probe-bind-address", "0", "--cache-dir", cacheDir,
	}}
}

// Process is a running contender.
type Process struct {
	// Started is when it was started.
	Started time.Time

	command *exec.Cmd
	output  *os.File
	metrics string
	ended   chan error
}

// Start starts a contender on the cluster of a kubeconfig file.
func (c Contender) Start(kubeconfig string) (*Process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	output, err := os.CreateTemp("", "wasmloop-bench-*.log")
	if err != nil {
		return nil, err
	}
	p := &Process{output: output, metrics: "http://" + address + "/metrics", Started: time.Now(), ended: make(chan error, 1)}
	p.command = exec.Command(c.Path, append(c.Args, "--kubeconfig", kubeconfig, "--metrics-bind-address", address)...)
	p.command.Stdout, p.command.Stderr = output, output
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.command.Wait() }()
	return p, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Stop ends the process.
func (p *Process) Stop() error {
	err := p.command.Process.Signal(os.Interrupt)
	if waitErr := <-p.ended; err == nil {
		err = waitErr
	}
	if err != nil {
		err = fmt.Errorf("%w; its output is in %s", err, p.output.Name())
	} else {
		err = errors.Join(p.output.Close(), os.Remove(p.output.Name()))
	}
	return err
}

// CPU returns the CPU time used so far.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return cpuOf(strings.Fields(after))
}

// ServersCPU returns the CPU time that the control plane has used so far: etcd and kube-apiserver, which this process
// started.
func ServersCPU() (sum time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		isServer := strings.HasSuffix(name, "(etcd") || strings.HasSuffix(name, "(kube-apiserver")
		if !isServer || len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		used, err := cpuOf(fields)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// cpuOf reads the CPU time from the fields of /proc/PID/stat that come after the name.
func cpuOf(fields []string) (time.Duration, error) {
	if len(fields) < 13 {
		return 0, errors.New("unknown form of /proc/PID/stat")
	}
	const clockTick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// Memory returns the resident memory in bytes.
func (p *Process) Memory() (int64, error) {
	file, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(file)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(size)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status")
}

// Reconciled waits until the process has reconciled so often without an error.
func (p *Process) Reconciled(ctx context.Context, times int) error {
	return p.until(ctx, "not all objects are reconciled", func() bool {
		n, err := p.Reconciles(ctx)
		return err == nil && n >= float64(times)
	})
}

// Called waits until the module has been called so often.
func (p *Process) Called(ctx context.Context, times float64) error {
	return p.until(ctx, "the module is not called for all objects", func() bool {
		n, err := p.Calls(ctx)
		return err == nil && n >= times
	})
}

func (p *Process) until(ctx context.Context, otherwise string, so func() bool) error {
	for !so() {
		select {
		case err := <-p.ended:
			p.ended <- err // for Stop
			return fmt.Errorf("it has ended (%w); its output is in %s", err, p.output.Name())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Reconciles returns how often the process has reconciled without an error, counted by controller-runtime. It fails as long
// as the controller does not run.
func (p *Process) Reconciles(ctx context.Context) (float64, error) {
	return p.Counter(ctx, `controller_runtime_reconcile_total{controller="bench",result=`)
}

// Resyncs returns how many objects the host has looked at again though nothing happened.
func (p *Process) Resyncs(ctx context.Context) (float64, error) {
	return p.Counter(ctx, `wasmloop_resyncs_total{controller="bench"`)
}

// Calls returns how often the host has called the module.
func (p *Process) Calls(ctx context.Context) (float64, error) {
	return p.Counter(ctx, `wasmloop_module_calls_total{controller="bench"`)
}

// Counter sums up the metrics whose line begins with prefix.
func (p *Process) Counter(ctx context.Context, prefix string) (sum float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = io.Copy(io.Discard, response.Body); _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, prefix) && !strings.Contains(line, `result="error"`) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				return 0, err
			}
			sum += value
		}
	}
	return sum, lines.Err()
}
