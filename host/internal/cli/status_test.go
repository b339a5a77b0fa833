package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// hostsSaying serves these statuses, one after the other and the last one again and again, as the hosts behind a Service do.
func hostsSaying(t *testing.T, statuses ...engine.Status) (address string) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		next := min(int(asked.Add(1)), len(statuses)) - 1
		_ = json.NewEncoder(w).Encode(statuses[next]) // the client tells of it
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestStatusWait(t *testing.T) {
	in := func(state string) engine.Status {
		return engine.Status{Controllers: []engine.ControllerStatus{{Name: "a", Module: "m", State: state}}, Modules: []engine.ModuleStatus{{Name: "m"}}}
	}
	broken := in("running")
	broken.Modules[0].Trouble = "it cannot be loaded"
	tests := map[string]struct {
		reason   string
		statuses []engine.Status
		wait     string
		code     int
		waited   []string // what is said on stderr, line by line
	}{
		"ready":          {"nothing is waited for", []engine.Status{in("running")}, "1m", 0, nil},
		"later":          {"what is missing is said once", []engine.Status{in("fetching its module"), in("fetching its module"), in("running")}, "1m", 0, []string{"► waiting: controller a is fetching its module"}},
		"another host":   {"one of several works", []engine.Status{in("waiting for the lease"), in("running")}, "1m", 0, []string{"► waiting: controller a is waiting for the lease"}},
		"broken module":  {"its controller runs, and can do nothing", []engine.Status{broken}, "10ms", 1, []string{"► waiting: module m: it cannot be loaded", "✗ the host is not ready after 10ms: module m: it cannot be loaded"}},
		"does not begin": {"in the end the reason is said", []engine.Status{in("waiting for its kinds")}, "10ms", 1, []string{"► waiting: controller a is waiting for its kinds", "✗ the host is not ready after 10ms: controller a is waiting for its kinds"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := Run(t.Context(), []string{"status", "--address", hostsSaying(t, tt.statuses...), "--wait", tt.wait}, &stdout, &stderr)
			if code != tt.code {
				t.Errorf("%s: exit code %d, want %d", tt.reason, code, tt.code)
			}
			var waited []string
			for line := range strings.Lines(stderr.String()) {
				waited = append(waited, strings.TrimSpace(line))
			}
			if diff := cmp.Diff(tt.waited, waited); diff != "" {
				t.Errorf("%s: stderr (-want +got):\n%s", tt.reason, diff)
			}
		})
	}
}

func TestStatusWithoutHost(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	var stdout, stderr bytes.Buffer
	code := Run(t.Context(), []string{"status", "--address", server.Listener.Addr().String(), "--wait", "10ms"}, &stdout, &stderr)
	if code != exitError || !strings.Contains(stderr.String(), "no host answers at") {
		t.Errorf("exit code %d, and %q: want to be told that no host answers", code, stderr.String())
	}
}
