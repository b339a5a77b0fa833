package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// result is all that a person or a script sees of a command.
type result struct {
	Code           int
	Stdout, Stderr string
}

// run runs wasmloop in a folder with these files, on a machine that knows no cluster.
func run(t *testing.T, files map[string]string, args ...string) result {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
	for _, variable := range []string{"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"} {
		t.Setenv(variable, "")
	}
	t.Setenv("HOME", folder)
	var stdout, stderr bytes.Buffer
	code := Run(t.Context(), args, &stdout, &stderr)
	return result{code, stdout.String(), strings.ReplaceAll(stderr.String(), folder, "FOLDER")}
}

// sound is a folder with a config without faults.
var sound = map[string]string{
	"config.yaml": "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n  m: {source: file://m.wasm}\n" +
		"controllers:\n- {name: c, module: m, for: {apiVersion: v1, kind: Pod}}\n",
	"m.wasm":     "no module, but it is not called",
	"kubeconfig": "apiVersion: v1\nkind: Config\n",
}

func TestRunFails(t *testing.T) {
	tests := map[string]struct {
		reason string
		files  map[string]string
		args   []string
		stderr string
	}{
		"unknown command": {
			reason: "it is not taken for none",
			args:   []string{"rum"},
			stderr: "✗ unknown command \"rum\" for \"wasmloop\"\n\nDid you mean this?\n\trun\n\n",
		},
		"unknown flag": {
			reason: "a typo must not leave the default in force",
			args:   []string{"run", "--confg", "config.yaml"},
			stderr: "✗ unknown flag: --confg\n",
		},
		"no config": {
			reason: "there is no place that it is looked for",
			args:   []string{"run"},
			stderr: "✗ required flag(s) \"config\" not set\n",
		},
		"argument": {
			reason: "the config is a flag, and an argument would be overlooked",
			args:   []string{"run", "--config", "config.yaml", "other.yaml"},
			stderr: "✗ unknown command \"other.yaml\" for \"wasmloop run\"\n",
		},
		"two clusters": {
			reason: "which of them is meant?",
			args:   []string{"run", "--config", "config.yaml", "--local", "--kubeconfig", "kubeconfig"},
			stderr: "✗ if any flags in the group [local kubeconfig] are set none of the others can be; [kubeconfig local] were all set\n",
		},
		"missing config": {
			reason: "the message has the path as it was given",
			args:   []string{"run", "--config", "config.yaml"},
			stderr: "✗ cannot read the config: open config.yaml: no such file or directory\n",
		},
		"faults in the config": {
			reason: "all of them, each with its place",
			files:  map[string]string{"config.yaml": "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodule: {}\ncontroller: []\n"},
			args:   []string{"run", "--config", "config.yaml"},
			stderr: "✗ config.yaml:3:1: unknown field \"module\"\nconfig.yaml:4:1: unknown field \"controller\"\n",
		},
		"missing module": {
			reason: "it is found before anything is started",
			files:  map[string]string{"config.yaml": sound["config.yaml"]},
			args:   []string{"run", "--config", "config.yaml"},
			stderr: "✗ config.yaml:4:7: modules.m.source: Invalid value: \"file://FOLDER/m.wasm\": there is no such file\n",
		},
		"unknown controller": {
			reason: "the message has the right names",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml", "--controllers", "*,-d"},
			stderr: "✗ no controller is named \"d\"; there are c\n",
		},
		"unknown log format": {
			reason: "the message has the right ones",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml", "--log-format", "xml"},
			stderr: "✗ unknown --log-format \"xml\": want text or json\n",
		},
		"objects for another cluster": {
			reason: "they would be applied to a cluster that is not there to be played with",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml", "--apply", "samples"},
			stderr: "✗ --crd, --apply and --local-dir need --local: on other clusters use kubectl\n",
		},
		"no cluster": {
			reason: "the message has all ways to name one",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml"},
			stderr: "✗ no cluster: give --kubeconfig FILE or set KUBECONFIG (for a control plane on this machine: wasmloop run --local)\n",
		},
		"empty kubeconfig": {
			reason: "it names no cluster either",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml", "--kubeconfig", "kubeconfig"},
			stderr: "✗ no cluster: give --kubeconfig FILE or set KUBECONFIG (for a control plane on this machine: wasmloop run --local)\n",
		},
		"missing kubeconfig": {
			reason: "the default must not be used instead",
			files:  sound,
			args:   []string{"run", "--config", "config.yaml", "--kubeconfig", "none"},
			stderr: "✗ cannot find the cluster: stat none: no such file or directory\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, tt.files, tt.args...)
			if diff := cmp.Diff(result{Code: exitError, Stderr: tt.stderr}, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	got := run(t, nil, "version")
	if got.Code != exitOK || got.Stderr != "" || !strings.HasPrefix(got.Stdout, "wasmloop  dev\n") {
		t.Errorf("it is a result, so it goes to stdout: got %+v", got)
	}
}

// TestHelp asks for help in all the ways that there are.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help"}, {"run", "--help"}} {
		got := run(t, nil, args...)
		if got.Code != exitOK || got.Stderr != "" || !strings.Contains(got.Stdout, "Usage:") {
			t.Errorf("%q: help is a result, so it goes to stdout: got %+v", args, got)
		}
	}
}
