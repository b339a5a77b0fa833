package e2e

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// The demo, as make run starts it: samples become Available, kubectl lines work as pasted, and Ctrl-C ends everything.
func TestRunLocal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "local")
	config, err := filepath.Abs("../../../config/wasmloop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h, err := startProcess("run", "--local", "--local-dir", dir, "--config", withModules(t, config),
		"--crd", "../../../config/crd", "--apply", "../../../config/samples",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0",
		"--cache-dir", filepath.Join(built, "compiled")) // so that no module is compiled twice
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = h.Stop() // again: the test may have failed before it got there
		if t.Failed() {
			t.Logf("its log:\n%s", h.Log())
		}
	}()
	h.waitForLog(t, "✔ MarkdownView default/handbook is Available")
	h.waitForLog(t, "✔ MarkdownView default/recipes is Available")
	h.waitForLog(t, "delete -n default markdownview.view.example.com handbook")
	tryPrintedLines(t, h.Log())
	server := apiServer(t, filepath.Join(dir, "kubeconfig"))
	if err := h.Stop(); err != nil {
		t.Errorf("Ctrl-C ends it with %v", err)
	}
	if connection, err := net.Dial("tcp", server); err == nil {
		_ = connection.Close()
		t.Errorf("%s is still listened to", server)
	}
	if left := processesWith(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}

// withModules returns a copy of the sample config whose modules are those that were built for the tests.
func withModules(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, name := range samples {
		changed = strings.ReplaceAll(changed, "file://../modules/"+name+"/", "file://"+built+"/")
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tryPrintedLines runs the get and delete lines that a person is told to try.
func tryPrintedLines(t *testing.T, output string) {
	t.Helper()
	tried := 0
	for line := range strings.Lines(output) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "   #")
		if !strings.HasPrefix(command, "kubectl") || strings.Contains(command, " edit ") {
			continue
		}
		tried++
		if out, err := exec.Command("sh", "-c", "PATH=$KUBEBUILDER_ASSETS:$PATH "+command).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if tried != 3 {
		t.Errorf("%d lines to try were printed, want 3", tried)
	}
}

func apiServer(t *testing.T, kubeconfig string) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	return address.Host
}

// processesWith returns the command lines of all processes that mention a folder.
func processesWith(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatal(fmt.Errorf("cannot list processes: %w", err))
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
