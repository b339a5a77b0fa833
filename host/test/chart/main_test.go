package chart

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

const (
	root   = "../../../"
	folder = root + "deploy/charts/wasmloop"
	// release is the name of the release, and home its namespace.
	release = "web"
	home    = "wasmloop-system"
)

// What the tests share: one control plane with RBAC, the real Helm, and the host with all sample modules.
var (
	cluster *localcluster.Cluster
	api     client.Client
	helm    string
	built   string // holds wasmloop and NAME.wasm
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	log.SetLogger(logr.Discard())
	if helm, err = findHelm(); err != nil {
		return 0, err
	}
	if built, err = os.MkdirTemp("", "wasmloop-chart-"); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(built) }()
	if err := build(); err != nil {
		return 0, err
	}
	crds := []string{root + "config/crd", "testdata/crd.yaml"}
	if cluster, err = localcluster.Start(context.Background(), localcluster.Options{CRDs: crds}); err != nil {
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
	return m.Run(), nil
}

// findHelm returns the Helm that make names, or else one that it has built.
func findHelm() (string, error) {
	if path := os.Getenv("WASMLOOP_HELM"); path != "" {
		return path, nil
	}
	found, err := filepath.Glob(root + "bin/tools/helm-v*")
	if err != nil || len(found) == 0 {
		return "", errors.New("there is no Helm: make tools builds it")
	}
	return filepath.Abs(slices.Max(found))
}

func build() error {
	if err := goBuild(nil, "wasmloop", root+"host/cmd/wasmloop"); err != nil {
		return err
	}
	sources, err := filepath.Glob(root + "modules/*/main.go")
	if err != nil {
		return err
	}
	for _, source := range sources {
		module := filepath.Dir(source)
		env := []string{"GOOS=wasip1", "GOARCH=wasm"}
		if err := goBuild(env, filepath.Base(module)+".wasm", "./"+module, "-buildmode=c-shared", "-ldflags", "-s -w"); err != nil {
			return err
		}
	}
	return nil
}

func goBuild(env []string, output, source string, flags ...string) error {
	command := exec.Command("go", append(append([]string{"build", "-trimpath"}, flags...), "-o", filepath.Join(built, output), source)...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
	}
	return nil
}

// valuesFiles returns the values files of the chart.
func valuesFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/ci/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no values files (%v)", err)
	}
	return files
}

// template has Helm render the chart, into a namespace.
func template(namespace string, args ...string) (string, error) {
	command := exec.Command(helm, append([]string{"template", release, folder, "--namespace", namespace}, args...)...)
	stdout, stderr := &bytes.Buffer{}, &bytes.Buffer{}
	command.Stdout, command.Stderr = stdout, stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, stderr)
	}
	return stdout.String(), nil
}

// render returns all objects that the chart makes in a namespace.
func render(t *testing.T, namespace string, args ...string) []*unstructured.Unstructured {
	t.Helper()
	text, err := template(namespace, args...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// decode returns the objects in YAML.
func decode(t *testing.T, text string) (objects []*unstructured.Unstructured) {
	t.Helper()
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// one returns the only object of a kind.
func one(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d objects of kind %s, want one", len(found), kind)
	}
	return found[0]
}

// patience is how long a test waits for what must happen: far longer than it takes, since machines differ.
const patience = 2 * time.Minute

// eventually tries until there is no error.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("after %s still: %v", patience, err)
}
