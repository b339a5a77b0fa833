package main

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

// contender is a controller to be measured.
type contender struct {
	name  string
	agent string // of its requests to the API server
	path  string
	args  []string
}

// process is a running contender.
type process struct {
	command *exec.Cmd
	output  *os.File
	metrics string
	started time.Time
	ended   chan error
}

func (c contender) start(kubeconfig string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	output, err := os.CreateTemp("", "wasmloop-bench-*.log")
	if err != nil {
		return nil, err
	}
	p := &process{output: output, metrics: "http://" + address + "/metrics", started: time.Now(), ended: make(chan error, 1)}
	p.command = exec.Command(c.path, append(c.args, "--kubeconfig", kubeconfig, "--metrics-bind-address", address)...)
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

// stop ends the process.
func (p *process) stop() error {
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

// cpu returns the CPU time used so far.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return cpuOf(strings.Fields(after))
}

// serversCPU returns the CPU time that the control plane has used so far: etcd and kube-apiserver, which this process
// started.
func serversCPU() (sum time.Duration, err error) {
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

// memory returns the resident memory in bytes.
func (p *process) memory() (int64, error) {
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

// reconciled waits until the process has reconciled so many objects without an error, counted by controller-runtime.
func (p *process) reconciled(ctx context.Context, objects int) error {
	for {
		if n, err := p.counter(ctx, `controller_runtime_reconcile_total{controller="bench",result=`); err == nil && n >= float64(objects) {
			return nil
		}
		select {
		case err := <-p.ended:
			return fmt.Errorf("it has ended (%w); its output is in %s", err, p.output.Name())
		case <-ctx.Done():
			return fmt.Errorf("not all objects are reconciled: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// counter sums up the metrics whose line begins with prefix.
func (p *process) counter(ctx context.Context, prefix string) (sum float64, err error) {
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
