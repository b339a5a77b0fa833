package engine

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
)

// cluster is the API server that the tests share.
var cluster *rest.Config

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, "../setup/testdata/crds.yaml", func(config *rest.Config) error {
		cluster = config
		log.SetLogger(logr.Discard())
		return nil
	}))
}

// TestWaitForKindEnds stops a host that waits for a kind.
func TestWaitForKindEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wanted := []config.GroupVersionKind{{APIVersion: "none.test/v1", Kind: "None"}}
	if _, err := engineOf(t, cluster).kinds.wait(ctx, logr.Discard(), "c", wanted); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
