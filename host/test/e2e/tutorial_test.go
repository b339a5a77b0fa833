package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// TestTutorial runs modules/README.md command by command, in a copy of what it takes of the checkout.
func TestTutorial(t *testing.T) {
	text, err := os.ReadFile("../../../modules/README.md")
	if err != nil {
		t.Fatal(err)
	}
	tutorial, _, _ := strings.Cut(string(text), "\n## Outside of this checkout")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(tutorial, -1)
	if len(blocks) < 5 {
		t.Fatalf("it has %d blocks of commands", len(blocks))
	}
	reader := &reader{folder: copyCheckout(t)}
	defer func() { _ = reader.stop() }() // again: the test may have failed before it got there
	for _, block := range blocks {
		for command := range strings.Lines(block[1]) {
			reader.do(t, strings.TrimSpace(command))
		}
	}
	if out := reader.do(t, "kubectl --kubeconfig .wasmloop/kubeconfig get greetings -o name"); out != "" {
		t.Errorf("there are still %s", out)
	}
	if err := reader.stop(); err != nil {
		t.Errorf("Ctrl-C: %v\n%s", err, reader.log.String())
	}
	if left := processesWith(t, reader.checkout()); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}

// copyCheckout copies what a module needs of this checkout, so that the tutorial leaves nothing behind in it.
func copyCheckout(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"host", "sdk", "config"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join("../../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile"} {
		content, err := os.ReadFile(filepath.Join("../../..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), string(content))
	}
	return folder
}

// reader is a person at a terminal, who goes from folder to folder.
type reader struct {
	folder  string
	running *exec.Cmd // what the last line left running
	log     process.Output
}

func (r *reader) checkout() string {
	checkout, _, _ := strings.Cut(r.folder, "/modules/")
	return checkout
}

// command is a line in the folder that the reader is in.
func (r *reader) command(line string) *exec.Cmd {
	command := exec.Command("sh", "-c", line)
	command.Dir = r.folder
	command.Env = append(os.Environ(), "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"), "HOME="+r.checkout(),
		"GOCACHE="+goEnv("GOCACHE"), "GOMODCACHE="+goEnv("GOMODCACHE"),
		"RUNFLAGS=--metrics-bind-address 0 --health-probe-bind-address 0") // other tests may have these ports
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does, so that Ctrl-C is for all of it
	return command
}

func goEnv(variable string) string {
	value, _ := exec.Command("go", "env", variable).Output()
	return strings.TrimSpace(string(value))
}

// do does what a line says, and returns what it prints.
func (r *reader) do(t *testing.T, line string) string {
	t.Helper()
	if folder, isCd := strings.CutPrefix(line, "cd "); isCd {
		r.folder = filepath.Join(r.folder, folder)
		return ""
	}
	if line == "make run" {
		r.start(t, line)
		return ""
	}
	command := r.command(line)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s\n%s", line, err, out, stderr.String(), r.log.String())
	}
	return string(out)
}

// start starts what goes on until Ctrl-C, and waits until it says that the object is ready.
func (r *reader) start(t *testing.T, line string) {
	t.Helper()
	r.running = r.command(line)
	r.running.Stdout, r.running.Stderr = &r.log, &r.log
	if err := r.running.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(r.log.String(), "✔ Greeting default/world is Ready"); {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not get there:\n%s", line, r.log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stop presses Ctrl-C. Make says that it was interrupted, which is no error.
func (r *reader) stop() error {
	if r.running == nil {
		return nil
	}
	err := syscall.Kill(-r.running.Process.Pid, syscall.SIGINT)
	_ = r.running.Wait()
	r.running = nil
	return err
}
