package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

// What the stories share: one control plane, one folder with all that was built, and one host.
var (
	cluster *localcluster.Cluster
	api     client.Client
	built   string // holds wasmloop, NAME.wasm and config.yaml
	shared  *host
)

// samples are the sample modules.
var samples = []string{
	"markdownview", "bluegreen", "indexedjob", "daemonjob", "configmappropagation", "secretpropagation", "serviceperpod", "crdroles",
	"globalconfigmap", "clusteredparent", "configmaplist", "namespacelist", "podlogger", "podrunner", "replicasetcontainers", "serviceaddress",
}

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	ctx := context.Background()
	log.SetLogger(logr.Discard())
	if built, err = os.MkdirTemp("", "wasmloop-e2e-"); err != nil {
		return 0, err
	}
	defer func() {
		if removeErr := os.RemoveAll(built); err == nil {
			err = removeErr
		}
	}()
	if err := nameAssets(); err != nil {
		return 0, err
	}
	if err := build(); err != nil {
		return 0, err
	}
	crds := []string{"testdata/crds", "../../../config/crd"}
	if cluster, err = localcluster.Start(ctx, localcluster.Options{CRDs: crds}); err != nil {
		return 0, err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	if api, err = client.New(cluster.Config(), client.Options{}); err != nil {
		return 0, err
	}
	if shared, err = startHost(hostOptions{config: filepath.Join(built, "config.yaml")}); err != nil {
		return 0, err
	}
	code = m.Run()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "--- the log of the shared host:\n%s\n", shared.Log())
	}
	return code, shared.Stop()
}

// nameAssets tells the commands of stories where the control plane is, as make does.
func nameAssets() error {
	if os.Getenv(assetsVariable) != "" {
		return nil
	}
	assets, err := filepath.Abs("../../../bin/assets")
	if err != nil {
		return err
	}
	return os.Setenv(assetsVariable, assets)
}

const assetsVariable = "KUBEBUILDER_ASSETS"

// build makes the host and all modules from source, so that what is tested is what is there.
func build() error {
	config, err := os.ReadFile("testdata/config.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(built, "config.yaml"), config, 0o600); err != nil {
		return err
	}
	if err := goBuild(nil, "wasmloop", "../../cmd/wasmloop"); err != nil {
		return err
	}
	wasm := []string{"GOOS=wasip1", "GOARCH=wasm"}
	if err := goBuild(wasm, "command.wasm", "./testdata/modules/command"); err != nil {
		return err
	}
	reactors := map[string]string{"fixture": "./testdata/modules/fixture", "unknownimport": "./testdata/modules/unknownimport"}
	for _, name := range samples {
		reactors[name] = "../../../modules/" + name
	}
	for name, folder := range reactors {
		if err := goBuild(wasm, name+".wasm", folder, "-buildmode=c-shared"); err != nil {
			return err
		}
	}
	return nil
}

// goBuild uses the flags of the Makefile, so that both share what is compiled already.
func goBuild(env []string, output, folder string, flags ...string) error {
	args := append([]string{"build", "-trimpath"}, flags...)
	if env != nil {
		args = append(args, "-ldflags", "-s -w")
	}
	command := exec.Command("go", append(args, "-o", filepath.Join(built, output), folder)...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", folder, err, out)
	}
	return nil
}
