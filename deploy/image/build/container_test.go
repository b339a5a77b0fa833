//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// enterArgument has the test's binary run as what enters a container.
const enterArgument = "enter-container"

// container is an unpacked image, which runs as in Kubernetes with readOnlyRootFilesystem: in namespaces of its own, as its user,
// without capabilities.
type container struct {
	root string
}

func newContainer(t *testing.T) *container {
	t.Helper()
	members, contents := extract(t, read(t, runtime.GOARCH))
	c := &container{filepath.Join(t.TempDir(), "root")}
	files := make([]file, 0, len(members))
	for path, m := range members {
		files = append(files, file{path: path, mode: m.Mode, user: m.User, content: contents[path]})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	if err := writeTree(c.root, files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if os.Getuid() != 0 {
			break // all files are the tester's, who is the image's user in the container
		}
		if err := os.Chown(filepath.Join(c.root, f.path), f.user, f.user); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// command returns a command in the container. Its network is that of the machine.
func (c *container) command(args ...string) *exec.Cmd {
	command := exec.Command("/proc/self/exe", append([]string{enterArgument, c.root}, args...)...)
	command.Env = []string{"HOME=/tmp", "WASMLOOP_KEY_PASSWORD=a-password"}
	one := func(outside int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: user, HostID: outside, Size: 1}}
	}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings: one(os.Getuid()), GidMappings: one(os.Getgid()),
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP, unix.CAP_DAC_OVERRIDE},
		Pdeathsig:   syscall.SIGKILL,
	}
	if os.Getuid() == 0 {
		all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: user + 1}}
		command.SysProcAttr.UidMappings, command.SysProcAttr.GidMappings = all, all
		command.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
		command.SysProcAttr.GidMappingsEnableSetgroups = true
	}
	return command
}

// enter makes a folder the root, read-only but for the cache, as the chart has it, gives up all capabilities, and runs what is in it.
func enter(root string, args []string) error {
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{root, root, "", syscall.MS_BIND},
		{"", root, "", syscall.MS_REMOUNT | syscall.MS_BIND | syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV},
		{"cache", filepath.Join(root, cacheFolder), "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV},
	} {
		if err := syscall.Mount(mount.source, mount.target, mount.kind, mount.flags, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", mount.target, err)
		}
	}
	if err := syscall.Chroot(root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return syscall.Exec("/wasmloop", append([]string{"wasmloop"}, args...), os.Environ())
}

func (c *container) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	output, err := c.command(args...).CombinedOutput()
	return string(output), err
}

func TestVersionInContainer(t *testing.T) {
	output, err := newContainer(t).run(t, "version")
	if err != nil || !strings.Contains(output, "v1.2.3") {
		t.Errorf("it says %q (%v)", output, err)
	}
}

// The sample is a module that the host of the image loads.
func TestSampleInContainer(t *testing.T) {
	output, err := newContainer(t).run(t, "inspect", "/modules/serviceaddress.wasm")
	if err != nil || !strings.Contains(output, "reactor") {
		t.Errorf("it says %q (%v)", output, err)
	}
}

// What runs can write to its volume, and nowhere else.
func TestWritingInContainer(t *testing.T) {
	got := map[string]string{}
	c := newContainer(t)
	for _, folder := range []string{"/", "/etc", "/modules", "/tmp", "/var/cache/wasmloop"} {
		output, err := c.run(t, "keygen", "--out", folder+"/key")
		switch {
		case err == nil:
			got[folder] = "written"
		case strings.Contains(output, "read-only file system"):
			got[folder] = "read-only"
		default:
			got[folder] = output
		}
	}
	want := map[string]string{"/": "read-only", "/etc": "read-only", "/modules": "read-only", "/tmp": "read-only", "/var/cache/wasmloop": "written"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other folders can be written to (-want +got):\n%s", diff)
	}
}

// The host really starts: it reads a config, compiles the sample into its cache, and looks for the API server, of which there is none.
func TestRunInContainer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c := newContainer(t)
	config := "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules: {a: {source: 'file:///modules/serviceaddress.wasm'}}\n" +
		"controllers: [{name: a, module: a, for: {apiVersion: v1, kind: Service}, owns: [{apiVersion: v1, kind: ConfigMap}]}]\n"
	kubeconfig := "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'https://" + listener.Addr().String() + "'}}]\n" +
		"contexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"
	for path, content := range map[string]string{"etc/wasmloop.yaml": config, "etc/kubeconfig": kubeconfig} {
		if err := os.WriteFile(filepath.Join(c.root, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := c.command("run", "--config=/etc/wasmloop.yaml", "--kubeconfig=/etc/kubeconfig", "--cache-dir=/var/cache/wasmloop/host",
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		said = append(said, scanner.Text())
		if strings.Contains(scanner.Text(), "connection refused") {
			if err := command.Process.Signal(os.Interrupt); err != nil { // it would try again for ever
				t.Fatal(err)
			}
		}
	}
	if err := command.Wait(); err != nil || !strings.Contains(strings.Join(said, "\n"), "connection refused") {
		t.Errorf("it ends with %v and says:\n%s", err, strings.Join(said, "\n"))
	}
}
