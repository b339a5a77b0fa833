package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// electedConfig is a controller that the shared host does not run.
const electedConfig = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  fixture: {source: file://%s/fixture.wasm}
controllers:
- name: elected
  module: fixture
  for: {apiVersion: test.wasmloop.dev/v1, kind: Elected}
  owns: [{apiVersion: v1, kind: ConfigMap}]
`

// Of two hosts one works, and the other takes over when it ends.
func TestLeaderElection(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, fmt.Sprintf(electedConfig, built))
	namespace := newNamespace(t)
	health := freeAddress(t)
	start := func(args ...string) *host {
		args = append(args, "--leader-elect", "--leader-election-namespace", namespace)
		h, err := startHost(hostOptions{config: config, args: args})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := start()
	defer func() { _ = first.Stop() }() // again: the test may have failed before it got there
	first.waitForLog(t, "Starting workers", `"controller":"elected"`)
	second := start("--health-probe-bind-address", health)
	defer func() { _ = second.Stop() }()
	second.waitForLog(t, "ttempting to acquire leader lease")
	eventually(t, func() error { return fetch("http://"+health+"/readyz", "ok") })
	if err := second.Said("module loaded"); err != nil {
		t.Errorf("the second host is ready to take over, and cannot work yet: %v", err)
	}
	create(t, namespace, elected("one"))
	waitFor(t, "v1", "ConfigMap", namespace, "one-child", exists)
	if err := first.Stop(); err != nil {
		t.Errorf("the first host ends with %v", err)
	}
	create(t, namespace, elected("two"))
	waitFor(t, "v1", "ConfigMap", namespace, "two-child", exists)
	second.waitForLog(t, "child created", "two-child")
	if strings.Contains(second.Log(), "one-child") {
		t.Errorf("the second host made what the first had made already:\n%s", second.Log())
	}
}

func elected(name string) string {
	return fmt.Sprintf(`{apiVersion: test.wasmloop.dev/v1, kind: Elected, metadata: {name: %s}, spec: {mode: ok, children: [%s-child]}}`, name, name)
}

// Health, readiness and metrics are served, and count what happens.
func TestHealthAndMetrics(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, fmt.Sprintf(electedConfig, built))
	metrics, health := freeAddress(t), freeAddress(t)
	h, err := startHost(hostOptions{config: config, args: []string{"--metrics-bind-address", metrics, "--health-probe-bind-address", health}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Errorf("the host ends with %v", err)
		}
	})
	for _, url := range []string{"http://" + health + "/healthz", "http://" + health + "/readyz"} {
		eventually(t, func() error { return fetch(url, "ok") })
	}
	namespace := newNamespace(t)
	create(t, namespace, elected("measured"))
	waitFor(t, "v1", "ConfigMap", namespace, "measured-child", exists)
	for _, metric := range []string{
		`wasmloop_module_calls_total{controller="elected",outcome="ok"}`,
		`wasmloop_module_call_duration_seconds_count{controller="elected",outcome="ok"}`,
		`wasmloop_module_call_fuel_count{controller="elected",outcome="ok"}`,
		`wasmloop_module_call_memory_bytes_count{controller="elected",outcome="ok"}`,
		`wasmloop_module_compile_duration_seconds_count{how="`,
		`wasmloop_reconciles_skipped_total{controller="elected"}`,
		`wasmloop_children_pruned_total{controller="elected"} 0`,
		`wasmloop_api_requests_total{api_version="v1",kind="ConfigMap",outcome="ok",verb="apply"}`,
		`wasmloop_config_trouble 0`,
		`workqueue_depth{controller="elected"`,
		`wasmloop_module_fuel_total{module="fixture"}`,
		`wasmloop_module_failures_in_a_row{controller="elected"} 0`,
		`restoring="copy-on-write",source="file://` + built + `/fixture.wasm@sha256:`,
		`tier="reactor"} 1`,
		`controller_runtime_reconcile_total{controller="elected"`,
	} {
		eventually(t, func() error { return fetch("http://"+metrics+"/metrics", metric) })
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// fetch returns an error unless a page is there and contains a text.
func fetch(url, want string) error {
	status, body, err := page(url)
	if err != nil {
		return err
	}
	if status != http.StatusOK || !strings.Contains(body, want) {
		return fmt.Errorf("%s answers %d without %q:\n%s", url, status, want, body)
	}
	return nil
}

// page reads a page of a process of the tests.
func page(url string) (status int, body string, err error) {
	response, err := http.Get(url) //nolint:noctx // the test's own process, and it ends with it
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }() // it is only read
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}
