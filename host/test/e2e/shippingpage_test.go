package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// TestShippingPage runs deploy/SHIPPING.md, block by block, with a registry of its own.
func TestShippingPage(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/SHIPPING.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 {
		t.Fatalf("it has %d blocks of commands", len(blocks))
	}
	p := newPageReader(t)
	for _, block := range blocks {
		switch script := block[1]; {
		case strings.HasPrefix(script, "export REGISTRY="): // the test has its own
		case strings.HasPrefix(script, "wasmloop run "):
			p.run(t, script)
		default:
			p.do(t, script)
		}
	}
	p.interrupt(t)
}

// pageReader does what a page says, in a copy of the checkout.
type pageReader struct {
	folder  string
	env     []string
	running *host
}

func newPageReader(t *testing.T) *pageReader {
	t.Helper()
	registry, folder := newRegistry(t, ""), copyCheckout(t)
	p := &pageReader{folder: folder, env: append(os.Environ(),
		"REGISTRY="+registry.Listener.Addr().String()+"/acme", "WASMLOOP_KEY_PASSWORD=secret", "KUBECONFIG="+cluster.KubeconfigPath(),
		"PATH="+built+":"+os.Getenv(assetsVariable)+":"+os.Getenv("PATH"), "HOME="+folder,
		"GOCACHE="+goEnv("GOCACHE"), "GOMODCACHE="+goEnv("GOMODCACHE"))}
	t.Cleanup(func() {
		if p.running != nil {
			_ = p.running.Kill() // the test has failed before it got there
		}
		delete := exec.Command("kubectl", "--kubeconfig", cluster.KubeconfigPath(), "delete", "crd", "greetings.example.com", "--ignore-not-found")
		delete.Env = p.env
		delete.Path = filepath.Join(os.Getenv(assetsVariable), "kubectl")
		if out, err := delete.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return p
}

// do runs a block as a shell does. What is in the first folder that it goes to stays there.
func (p *pageReader) do(t *testing.T, script string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	command.Dir, command.Env = p.folder, p.env
	if out, err := command.CombinedOutput(); err != nil {
		log := ""
		if p.running != nil {
			log = p.running.Log()
		}
		t.Fatalf("%s\n%v\n%s\n%s", script, err, out, log)
	}
	for line := range strings.Lines(script) {
		if folder, isCd := strings.CutPrefix(strings.TrimSpace(line), "cd "); isCd {
			p.folder = filepath.Join(p.folder, folder)
		}
	}
}

// run starts a host in another terminal, after the one before has been interrupted.
func (p *pageReader) run(t *testing.T, script string) {
	t.Helper()
	p.interrupt(t)
	command := exec.Command("sh", "-c", "exec "+strings.TrimSpace(script)+" --metrics-bind-address 127.0.0.1:8080 --health-probe-bind-address 0")
	command.Dir, command.Env = p.folder, p.env
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, err := process.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	p.running = &host{started}
	p.running.waitForLog(t, "module loaded")
}

func (p *pageReader) interrupt(t *testing.T) {
	t.Helper()
	if p.running == nil {
		return
	}
	if err := p.running.Stop(); err != nil {
		t.Errorf("the host ends with %v\n%s", err, p.running.Log())
	}
	p.running = nil
}
