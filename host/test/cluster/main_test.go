package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/localnode"
)

var (
	realFlag = flag.Bool("real", false, "start a cluster with a real node, which takes root; make test-cluster does")
	helmFlag = flag.String("helm", os.Getenv("WASMLOOP_HELM"), "`path` of Helm")
)

// What a failing test says in place of a result.
const waitTimeout = 2 * time.Minute

// root is the repository's folder.
var root, _ = filepath.Abs("../../..")

// shared is the cluster that all tests use.
var shared *world

// world is a cluster with what users have to work with it.
type world struct {
	*localnode.Cluster
	client client.WithWatch
	// tools is a folder with kubectl, helm and wasmloop.
	tools string
}

func TestMain(m *testing.M) {
	localnode.Init()
	flag.Parse()
	log.SetLogger(logr.Discard())
	code, err := runTests(m)
	if errors.Is(err, localnode.ErrUnable) {
		fmt.Printf("cluster: nothing is tested here: %v\n", err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if !*realFlag {
		fmt.Println("cluster: nothing is tested here without a real node: make test-cluster starts one")
		return 0, nil
	}
	ctx := context.Background()
	tools, err := os.MkdirTemp("", "wasmloop-cluster-tools-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(tools) }() // links alone
	began := time.Now()
	cluster, err := localnode.Start(ctx, localnode.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	stopWhenInterrupted(cluster, tools)
	fmt.Printf("a node is ready after %.1f s\n", time.Since(began).Seconds())
	shared = &world{Cluster: cluster, tools: tools}
	if err := shared.prepare(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// stopWhenInterrupted leaves the machine as it was when somebody presses Ctrl-C.
func stopWhenInterrupted(cluster *localnode.Cluster, tools string) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		if err := errors.Join(cluster.Stop(), os.RemoveAll(tools)); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
		}
		os.Exit(130)
	}()
}

// prepare loads the images and gets the tools ready.
func (w *world) prepare(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", w.KubeconfigPath())
	if err != nil {
		return err
	}
	config.QPS = -1
	if w.client, err = client.NewWithWatch(config, client.Options{}); err != nil {
		return err
	}
	for name, path := range map[string]string{
		"kubectl": filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "helm": *helmFlag, "wasmloop": filepath.Join(root, "bin/wasmloop"),
	} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is not there: run make test-cluster: %w", name, err)
		}
		if err := os.Symlink(path, filepath.Join(w.tools, name)); err != nil {
			return err
		}
	}
	if err := w.buildRegistry(ctx); err != nil {
		return err
	}
	for _, version := range []string{"cluster", "cluster-next"} {
		if err := w.LoadImage(ctx, filepath.Join(root, "dist", version, "wasmloop-linux-"+runtime.GOARCH+".tar")); err != nil {
			return fmt.Errorf("run make test-cluster: %w", err)
		}
	}
	return nil
}

func (w *world) buildRegistry(ctx context.Context) error {
	path := filepath.Join(w.tools, "registry")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "./registry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the registry: %w: %s", err, output)
	}
	return w.LoadProgram(ctx, "wasmloop.dev/registry:local", path)
}

// sh runs a script as a user would who is in the repository's folder, on the node, with kubectl, helm and wasmloop at hand, and
// returns what it prints.
func sh(t *testing.T, script string) string {
	t.Helper()
	output, err := try(t, script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, output)
	}
	return output
}

func try(t *testing.T, script string) (string, error) {
	t.Helper()
	command := shared.Command(t.Context(), "bash", "-euo", "pipefail", "-c", "cd '"+root+"'\n"+script)
	command.Env = append(os.Environ(), "KUBECONFIG="+shared.KubeconfigPath(), "PATH="+shared.tools+":"+os.Getenv("PATH"), "HOME="+shared.tools)
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// eventually waits until a condition holds, and fails the test with what was last in the way when it does not.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	err := condition()
	for deadline := time.Now().Add(waitTimeout); err != nil; err = condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// figure prints something that was measured, which nothing depends on.
func figure(t *testing.T, what string, value any) {
	t.Helper()
	if d, ok := value.(time.Duration); ok {
		value = fmt.Sprintf("%.1f s", d.Seconds())
	}
	t.Logf("figure: %-60s %v", what, value)
}

func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
