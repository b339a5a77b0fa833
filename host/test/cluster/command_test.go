package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommand kills make cluster's command, starts it again over the same folder, and ends it by Ctrl-C. Objects stay, and nothing
// else does.
func TestCommand(t *testing.T) {
	before := machine(t)
	program, dir := filepath.Join(t.TempDir(), "cluster"), filepath.Join(t.TempDir(), "state")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	kubectl := func(args ...string) string {
		t.Helper()
		command := exec.Command(filepath.Join(shared.tools, "kubectl"), append([]string{"--kubeconfig", filepath.Join(dir, "kubeconfig")}, args...)...)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %v: %v\n%s", args, err, output)
		}
		return string(output)
	}

	first := startCommand(t, program, dir)
	kubectl("create", "configmap", "kept")
	if len(processesWith(t, dir)) == 0 {
		t.Error("no process is found while the cluster runs: the test cannot tell that they end")
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	eventually(t, "all processes to end with the one that was killed", func() error { return anyOf(processesWith(t, dir)) })

	second := startCommand(t, program, dir)
	kubectl("get", "configmap", "kept")
	if nodes := kubectl("get", "nodes"); !strings.Contains(nodes, " Ready ") {
		t.Errorf("the node is not ready: %s", nodes)
	}
	if err := second.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	figure(t, "Ctrl-C", took(func() {
		if err := second.Wait(); err != nil {
			t.Errorf("Ctrl-C ends it with %v", err)
		}
	}))
	if err := anyOf(processesWith(t, dir)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
}

// startCommand starts the command and waits until it says that the node is ready.
func startCommand(t *testing.T, program, dir string) *exec.Cmd {
	t.Helper()
	command := exec.Command(program, "-dir", dir)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() }) // if the test did not get as far as to end it
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before the node was ready: %v", err)
		}
		if strings.HasPrefix(line, "✔ the node is ready") {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return command
		}
	}
}

// machine tells what clusters might change of the machine: settings, mounts, links, and cgroups.
func machine(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range []string{
		"/proc/self/mounts", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[file] = string(text)
	}
	for name, pattern := range map[string]string{"links": "/sys/class/net/*", "cgroups": "/sys/fs/cgroup/*/wasmloop-node-*", "v2": "/sys/fs/cgroup/wasmloop-node-*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = strings.Join(paths, "\n")
	}
	return found
}

// processesWith returns the command lines of all processes that mention a folder, by their numbers.
func processesWith(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot list processes: %v", err)
	}
	found := map[string]string{}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), dir) {
			found[filepath.Base(filepath.Dir(file))] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return found
}

func anyOf(processes map[string]string) error {
	for number, line := range processes {
		return errors.New("process " + number + " is left: " + line)
	}
	return nil
}
