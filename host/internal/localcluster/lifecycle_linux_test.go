package localcluster

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// checkGone reports what is left of a cluster.
func checkGone(t *testing.T, c *Cluster) {
	t.Helper()
	if pids := processesOf(t, c.folder.dir); len(pids) != 0 {
		t.Errorf("processes %v are left", pids)
	}
	server, err := url.Parse(c.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	if connection, err := net.Dial("tcp", server.Host); err == nil {
		_ = connection.Close()
		t.Errorf("somebody still listens on %s", server.Host)
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	tests := map[string]func(c *Cluster, cancel func()) error{
		"stopped":                            func(c *Cluster, _ func()) error { return c.Stop() },
		"stopped twice":                      func(c *Cluster, _ func()) error { return errors.Join(c.Stop(), c.Stop()) },
		"context done":                       func(c *Cluster, cancel func()) error { cancel(); return c.Stop() },
		"a server was killed before the end": func(c *Cluster, _ func()) error { return errors.Join(c.manager.command.Process.Kill(), c.Stop()) },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, err := Start(ctx, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(processesOf(t, c.folder.dir)); got != 3 {
				t.Errorf("the cluster has %d processes, want 3", got)
			}
			if err := end(c, cancel); err != nil {
				t.Error(err)
			}
			checkGone(t, c)
			if _, err := os.Stat(c.folder.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the temporary folder is still there: %v", err)
			}
		})
	}
}

// A context that is done stops the cluster even if nobody calls Stop.
func TestContextDoneStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Start(ctx, Options{WithoutControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the servers to end", func() bool { return len(processesOf(t, c.folder.dir)) == 0 })
	stop(t, c)
}

// Whoever can reach the API server or etcd from elsewhere owns the machine.
func TestListensOnLoopbackOnly(t *testing.T) {
	var addresses []string
	for _, pid := range processesOf(t, shared.folder.dir) {
		addresses = append(addresses, listenersOf(t, pid)...)
	}
	// etcd for clients, etcd for peers, kube-apiserver.
	want := []string{loopbackInHex(), loopbackInHex(), loopbackInHex()}
	if diff := cmp.Diff(want, addresses); diff != "" {
		t.Errorf("listening addresses (-want +got):\n%s", diff)
	}
}

func TestFailedStartLeavesNothingBehind(t *testing.T) {
	working, err := findAssets("", []string{etcdName, apiServerName, managerName})
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx     context.Context
		options Options
		// names are what a reader needs to find the cause.
		names []string
	}{
		"no binaries":        {t.Context(), Options{Assets: t.TempDir()}, []string{"etcd", "make assets"}},
		"etcd fails":         {t.Context(), Options{Assets: brokenAssets(t, working, etcdName)}, []string{"etcd.log", "out of luck"}},
		"kube-apiserver too": {t.Context(), Options{Assets: brokenAssets(t, working, apiServerName)}, []string{"kube-apiserver.log", "out of luck"}},
		"and the manager":    {t.Context(), Options{Assets: brokenAssets(t, working, managerName)}, []string{"kube-controller-manager.log", "out of luck"}},
		"a flag unknown":     {t.Context(), Options{APIServerFlags: map[string]string{"no-such-flag": "1"}}, []string{"no-such-flag"}},
		"no such CRDs":       {t.Context(), Options{CRDs: []string{"testdata/none"}}, []string{"testdata/none"}},
		"context done":       {done, Options{}, []string{context.Canceled.Error()}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.options.Dir = filepath.Join(t.TempDir(), "cluster")
			_, err := Start(tc.ctx, tc.options)
			if err == nil {
				t.Fatal("the cluster started")
			}
			for _, want := range tc.names {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %q: %v", want, err)
				}
			}
			if pids := processesOf(t, tc.options.Dir); len(pids) != 0 {
				t.Errorf("processes %v are left", pids)
			}
			f, err := openFolder(tc.options.Dir)
			if err != nil {
				t.Fatalf("the folder cannot be used again: %v", err)
			}
			_ = f.close()
		})
	}
}

// brokenAssets is a folder with the working binaries except that one of them says a few words and fails. It answers
// --help, which envtest asks before it starts anything.
func brokenAssets(t *testing.T, working assets, broken string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{etcdName, apiServerName, managerName} {
		if err := os.Symlink(working.path(name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(dir, broken)
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = --help ] && exit 0\necho out of luck\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFolderInUse(t *testing.T) {
	_, err := Start(t.Context(), Options{Dir: shared.folder.dir})
	if !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if _, err := clientset(t, shared).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the first cluster suffered: %v", err)
	}
}

// Objects survive, and so do clients that were given the kubeconfig before.
func TestPersistence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	first := start(t, Options{Dir: dir, WithoutControllerManager: true})
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"key": "value"}}
	kept, err := clientset(t, first).CoreV1().ConfigMaps("default").Create(t.Context(), kept, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := clientcmd.BuildConfigFromFlags("", first.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	checkGone(t, first)

	second := start(t, Options{Dir: dir})
	for name, clients := range map[string]kubernetes.Interface{
		"the new configuration": clientset(t, second), "the old kubeconfig": kubernetes.NewForConfigOrDie(before),
	} {
		got, err := clients.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("with %s: %v", name, err)
		}
		if diff := cmp.Diff(kept, got); diff != "" {
			t.Errorf("with %s (-want +got):\n%s", name, diff)
		}
	}
}

// A parent that is killed has no time to stop anything: the servers see to it themselves.
func TestServersEndWithKilledParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), holdVariable+"="+dir)
	parent.Stderr = os.Stderr
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the parent is not ready: %q, %v", line, err)
	}
	if got := len(processesOf(t, dir)); got != 3 {
		t.Errorf("the cluster has %d processes, want 3", got)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed, and says so
	eventually(t, "the servers to end", func() bool { return len(processesOf(t, dir)) == 0 })

	again := start(t, Options{Dir: dir})
	checkDefaultNamespace(t, again)
}

func checkDefaultNamespace(t *testing.T, c *Cluster) {
	t.Helper()
	if _, err := clientset(t, c).CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}
