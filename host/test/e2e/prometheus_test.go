package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// prometheusConfig has Prometheus read a host's metrics over TLS, with the token of an account that may.
const prometheusConfig = `
global: {scrape_interval: 1s}
scrape_configs:
- job_name: wasmloop
  scheme: https
  authorization: {credentials_file: %s}
  tls_config: {insecure_skip_verify: true}
  static_configs: [{targets: ["%s"]}]
`

// prometheus is a running Prometheus.
type prometheus struct{ address string }

// startPrometheus starts one that reads the metrics of a host.
func startPrometheus(t *testing.T, l *live) *prometheus {
	t.Helper()
	p, folder := &prometheus{freeAddress(t)}, t.TempDir()
	config := filepath.Join(folder, "prometheus.yaml")
	write(t, config, fmt.Sprintf(prometheusConfig, filepath.Join(l.folder, "reader"), l.metrics))
	started, err := process.Start(exec.Command(prometheusProgram("prometheus"), "--config.file", config,
		"--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", p.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Errorf("Prometheus ends with %v\n%s", err, started.Log())
		}
	})
	return p
}

// prometheusProgram returns the path of a program of Prometheus, which make names.
func prometheusProgram(name string) string {
	return filepath.Join(cmp.Or(os.Getenv("WASMLOOP_PROMETHEUS"), "../../../bin/tools/prometheus"), name)
}

// get asks Prometheus something.
func (p *prometheus) get(t *testing.T, path string, query url.Values, data any) error {
	t.Helper()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	_, text, err := page("http://" + p.address + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return nil
}

// holds waits until an expression has a value.
func (p *prometheus) holds(t *testing.T, expression string) {
	t.Helper()
	eventually(t, func() error {
		var found struct{ Result []any }
		if err := p.get(t, "query", url.Values{"query": {expression}}, &found); err != nil {
			return err
		}
		if len(found.Result) == 0 {
			return fmt.Errorf("nothing is so: %s", expression)
		}
		return nil
	})
}

// series returns the labels of all series of the host.
func (p *prometheus) series(t *testing.T) (labels []map[string]string) {
	t.Helper()
	if err := p.get(t, "series", url.Values{"match[]": {`{job="wasmloop"}`}}, &labels); err != nil {
		t.Fatal(err)
	}
	return labels
}

// TestPrometheus has a real Prometheus read the metrics of a host as the page on deploying it says.
func TestPrometheus(t *testing.T) {
	l := newLive(t)
	l.mount(t, l.controllers("one"), buildVersion(t, "v1"))
	defer l.readers(t)()
	runWith(t, l.path(), []string{"--metrics-bind-address", l.metrics, "--metrics-secure"}, func(*host) {
		p := startPrometheus(t, l)
		const objects = 20
		for i := range objects {
			create(t, l.namespace, fmt.Sprintf(liveObject, fmt.Sprintf("countme-%d", i), "one"))
		}
		for _, expression := range []string{
			`up{job="wasmloop"} == 1`,
			fmt.Sprintf(`wasmloop_module_calls_total{controller="one", outcome="ok"} >= %d`, objects),
			fmt.Sprintf(`sum(wasmloop_api_requests_total{verb="apply", kind="ConfigMap", outcome="ok"}) >= %d`, objects),
			`histogram_quantile(0.99, sum by (le) (wasmloop_module_call_duration_seconds_bucket{controller="one"})) > 0`,
			`wasmloop_module_fuel_total{module="versioned"} > 0`,
			`wasmloop_controller_running{controller="one"} == 1`,
			`wasmloop_module_info{module="versioned"} == 1`,
			`workqueue_depth{controller="one"} == 0`,
		} {
			p.holds(t, expression)
		}
		for _, expression := range documentedAlerts(t) {
			p.holds(t, "absent("+expression+" > 0)") // nothing is wrong, and it is an expression
		}
		for _, name := range documentedMetrics(t) {
			p.known(t, name)
		}
		for _, labels := range p.series(t) {
			for label, value := range labels {
				if strings.Contains(value, "countme") {
					t.Errorf("a series is about an object: %s=%q of %v", label, value, labels)
				}
			}
		}
	})
}

// known waits until Prometheus has read what a metric is.
func (p *prometheus) known(t *testing.T, name string) {
	t.Helper()
	eventually(t, func() error {
		var found map[string][]any
		if err := p.get(t, "metadata", url.Values{"metric": {name}}, &found); err != nil {
			return err
		}
		if len(found[name]) == 0 {
			return fmt.Errorf("there is no metric %s", name)
		}
		return nil
	})
}

const deployPage = "../../../deploy/README.md"

// documentedMetrics returns the metrics that the page on deploying names.
func documentedMetrics(t *testing.T) (names []string) {
	t.Helper()
	page, err := os.ReadFile(deployPage)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`wasmloop_[a-z_]+`).FindAllString(string(page), -1)
}

// documentedAlerts returns the expressions of its table.
func documentedAlerts(t *testing.T) (expressions []string) {
	t.Helper()
	page, err := os.ReadFile(deployPage)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| metric | above 0 means |\n|---|---|\n")
	if !found {
		t.Fatal("the page has no table of alerts")
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		expressions = append(expressions, row[1])
	}
	if len(expressions) == 0 {
		t.Fatal("the table of alerts is empty")
	}
	return expressions
}

// TestPromtool has promtool find nothing to object to in the metrics.
func TestPromtool(t *testing.T) {
	l := newLive(t)
	l.mount(t, l.controllers("one"), buildVersion(t, "v1"))
	runWith(t, l.path(), []string{"--metrics-bind-address", l.metrics}, func(*host) {
		create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
		lint := exec.CommandContext(t.Context(), prometheusProgram("promtool"), "check", "metrics")
		lint.Stdin = strings.NewReader(read(t, "http://"+l.metrics+"/metrics"))
		if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	})
}
