package kube

import (
	"net/http"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
)

// cluster is the API server that the tests share. Each test keeps to a namespace of its own.
var cluster *rest.Config

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, "testdata/crds.yaml", func(config *rest.Config) error {
		cluster = config
		cluster.QPS = -1
		return nil
	}))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// clientOf returns a Client, whose config a test may change before.
func clientOf(t *testing.T, change func(*rest.Config)) *Client {
	t.Helper()
	config := rest.CopyConfig(cluster)
	if change != nil {
		change(config)
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := rest.HTTPClientFor(cluster)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cluster, served)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(config, transport, mapper)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
