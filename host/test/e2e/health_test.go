package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// line is a line to the API server that can be cut.
type line struct {
	address, target string

	mu       sync.Mutex
	listener net.Listener
	open     []net.Conn
}

// newLine returns a line, and a kubeconfig file that has it in the place of the API server.
func newLine(t *testing.T) (l *line, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	l = &line{address: freeAddress(t)}
	for _, each := range config.Clusters {
		l.target = strings.Trim(strings.TrimPrefix(each.Server, "https://"), "/")
		each.Server = "https://" + l.address
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	l.mend(t)
	t.Cleanup(l.cut)
	return l, kubeconfig
}

// mend has the line work, or work again.
func (l *line) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", l.target)
			if err != nil {
				_ = from.Close()
				continue
			}
			l.mu.Lock()
			l.open = append(l.open, from, to)
			l.mu.Unlock()
			go pass(from, to)
			go pass(to, from)
		}
	}()
}

// pass passes on what comes, until either end is closed.
func pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// cut cuts the line: nothing more is passed on, and nobody can connect.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.listener.Close()
	for _, each := range l.open {
		_ = each.Close()
	}
	l.open = nil
}

// unready returns an error unless a host says that it is not ready by a check.
func unready(health, check string) error {
	status, body, err := page("http://" + health + "/readyz")
	if err != nil {
		return err
	}
	if status != http.StatusInternalServerError || !strings.Contains(body, "[-]"+check+" failed") {
		return fmt.Errorf("/readyz answers %d:\n%s", status, body)
	}
	return nil
}

// TestReadyWithoutAPIServer cuts the line to the API server. The host is not ready then, but alive; and all goes on when the line is
// mended.
func TestReadyWithoutAPIServer(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	l.mount(t, l.controllers("one"), module)
	to, kubeconfig := newLine(t)
	health := freeAddress(t)
	runWith(t, l.path(), []string{"--kubeconfig", kubeconfig, "--health-probe-bind-address", health}, func(*host) {
		create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
		eventually(t, func() error { return fetch("http://"+health+"/readyz", "ok") })
		to.cut()
		eventually(t, func() error { return unready(health, "apiserver") })
		if err := fetch("http://"+health+"/healthz", "ok"); err != nil {
			t.Error(err)
		}
		create(t, l.namespace, fmt.Sprintf(liveObject, "b", "one"))
		to.mend(t)
		waitFor(t, "v1", "ConfigMap", l.namespace, "b", exists)
		eventually(t, func() error { return fetch("http://"+health+"/readyz", "ok") })
	})
}

// TestEndWithoutAPIServer interrupts hosts that have no line to the API server: one from the start, one since a while ago.
func TestEndWithoutAPIServer(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	l.mount(t, l.controllers("one"), module)
	to, kubeconfig := newLine(t)
	runWith(t, l.path(), []string{"--kubeconfig", kubeconfig}, func(*host) {
		object := create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
		to.cut()
		set(t, object, "bye", "spec", "text")
	})
	runWith(t, l.path(), []string{"--kubeconfig", kubeconfig}, func(h *host) {
		h.waitForLog(t, "waiting for the cluster to say how it serves a kind")
	})
}

// TestReadyWithoutModule has a registry that does not answer for a while. The host is ready as soon as it is known that there is no
// module: the others go on.
func TestReadyWithoutModule(t *testing.T) {
	registry, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = registry.Close() }() // again: the test may have failed before it got there
	l, health := newLive(t), freeAddress(t)
	l.mount(t, strings.Replace(l.controllers("one"), "file://module.wasm", "oci://"+registry.Addr().String()+"/module:v1", 1), buildVersion(t, "v1"))
	runWith(t, l.path(), []string{"--health-probe-bind-address", health}, func(h *host) {
		eventually(t, func() error { return unready(health, "modules") })
		if err := registry.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { return fetch("http://"+health+"/readyz", "ok") })
		h.waitForLog(t, "module cannot be fetched")
	})
}
