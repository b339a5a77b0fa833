package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() {
	testComponents["test-parent"] = parent
	testComponents["test-child"] = child
}

// parent starts a child in a process group of its own, as envtest does, and sits there.
func parent() int {
	command := exec.Command(os.Args[1])
	command.Args = []string{"test-child"}
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return 1
	}
	select {}
}

// child says its process number and sits there.
func child() int {
	fmt.Println(os.Getpid())
	select {}
}

// What a parent that is killed cannot do itself the kernel does, for a parent that ends by itself just as well.
func TestEndsWithParent(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "terminated": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(os.Args[0])
			command.Args = []string{"test-parent", os.Args[0]}
			output, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			command.Stderr = os.Stderr
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			pid := readPID(t, bufio.NewReader(output))
			if !alive(pid) {
				t.Fatal("the child did not even start")
			}

			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_, _ = command.Process.Wait()
			for deadline := time.Now().Add(time.Minute); alive(pid); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Fatalf("the child, process %d, outlives its parent", pid)
				}
			}
		})
	}
}

func readPID(t *testing.T, output *bufio.Reader) int {
	t.Helper()
	line, err := output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// alive says whether the process runs. One that has ended and that nobody has waited for yet does not.
func alive(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	_, state, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(state, "Z")
}
