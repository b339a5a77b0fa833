// Package differential holds the in-memory API server against a real one.
package differential

import (
	"bytes"
	"os"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

const crdFile = "testdata/crds.yaml"

// The two servers that each case runs on.
var (
	realConfig, memoryConfig *rest.Config
	realAPI, memoryAPI       client.Client
)

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, crdFile, func(config *rest.Config) (err error) {
		realConfig = config
		realConfig.QPS = -1
		if realAPI, err = client.New(realConfig, client.Options{}); err != nil {
			return err
		}
		crds, err := readCRDs(crdFile)
		if err != nil {
			return err
		}
		server, err := apiserver.New(apiserver.Options{CRDs: crds})
		if err != nil {
			return err
		}
		memoryConfig = server.Config()
		memoryAPI, err = client.New(memoryConfig, client.Options{})
		return err
	}))
}

func readCRDs(file string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(document, crd); err != nil {
			return nil, err
		}
		crds = append(crds, crd)
	}
	return crds, nil
}
