package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

func TestLeftoverCommandsFail(t *testing.T) {
	noCluster := "✗ no cluster: give --kubeconfig FILE or set KUBECONFIG (for a control plane on this machine: wasmloop run --local)\n"
	tests := map[string]struct {
		reason string
		args   []string
		stderr string
	}{
		"prune all": {
			reason: "one slip must not delete what all controllers left over",
			args:   []string{"prune", "--config", "config.yaml", "--yes"},
			stderr: "✗ --yes needs --controller NAME: it deletes what one controller left over, not what all did\n",
		},
		"prune without a config": {
			reason: "without one, all children would be left over",
			args:   []string{"prune", "--controller", "c", "--yes"},
			stderr: "✗ required flag(s) \"config\" not set\n",
		},
		"prune without a cluster": {
			reason: "there is none by default",
			args:   []string{"prune", "--config", "config.yaml"},
			stderr: noCluster,
		},
		"release without a controller": {
			reason: "whose finalizer is meant?",
			args:   []string{"release", "Site", "default/mine"},
			stderr: "✗ required flag(s) \"controller\" not set\n",
		},
		"release of a kind": {
			reason: "half a name must not be taken for all objects",
			args:   []string{"release", "--controller", "c", "Site"},
			stderr: "✗ give KIND and [NAMESPACE/]NAME, or neither\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(result{Code: 1, Stderr: tc.stderr}, run(t, sound, tc.args...)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A controller that this host does not run may run in another, so that what it has is not left over.
func TestDeselected(t *testing.T) {
	conf := &config.Config{Controllers: []config.Controller{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	flags := &runFlags{controllers: []string{"*", "-b"}}
	if err := flags.selectControllers(conf); err != nil {
		t.Fatal(err)
	}
	names := func(controllers []config.Controller) (list []string) {
		for _, controller := range controllers {
			list = append(list, controller.Name)
		}
		return list
	}
	if diff := cmp.Diff([][]string{{"a", "c"}, {"b"}}, [][]string{names(conf.Controllers), names(flags.engine.Deselected)}); diff != "" {
		t.Errorf("those that run, those that do not (-want +got):\n%s", diff)
	}
}
