package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// process is a container's process, as this machine sees it.
type process int

// processOf returns the host's process in a Pod, which must have one.
func processOf(t *testing.T, pod *corev1.Pod) process {
	t.Helper()
	found, err := findProcess(pod)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func findProcess(pod *corev1.Pod) (process, error) {
	cgroups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, file := range cgroups {
		dir := filepath.Dir(file)
		text, _ := os.ReadFile(file) // it may have ended
		program, _ := os.Readlink(dir + "/exe")
		if strings.Contains(string(text), string(pod.UID)) && program == "/wasmloop" {
			number, err := strconv.Atoi(filepath.Base(dir))
			return process(number), err
		}
	}
	return 0, fmt.Errorf("no process is that of Pod %s", pod.Name)
}

func (p process) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// status returns the first value of a line of the process's status.
func (p process) status(t *testing.T, key string) string {
	t.Helper()
	for line := range strings.Lines(p.read(t, "status")) {
		if fields := strings.Fields(line); fields[0] == key+":" {
			return fields[1]
		}
	}
	t.Fatalf("process %d has no %s", p, key)
	return ""
}

// rootMount says how the process's root is mounted: ro or rw.
func (p process) rootMount(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(p.read(t, "mounts")) {
		if fields := strings.Fields(line); fields[1] == "/" {
			options, _, _ := strings.Cut(fields[3], ",")
			return options
		}
	}
	t.Fatalf("process %d has no root", p)
	return ""
}

// mebibytes returns a figure of the process's memory.
func (p process) mebibytes(t *testing.T, key string) string {
	t.Helper()
	kibibytes, err := strconv.Atoi(p.status(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d MiB", kibibytes/1024)
}

func (p process) kill() error { return syscall.Kill(int(p), syscall.SIGKILL) }
