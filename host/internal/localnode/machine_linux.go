package localnode

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tunables are what a kubelet sets for the whole machine when it finds something else. It finds this.
var tunables = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// prepareMachine turns the namespaces into something like a machine of their own.
func (n *node) prepareMachine() error {
	steps := []func() error{
		unshareMounts, n.makeFolders, n.mountKernel, n.mountFolders, n.hideTunables, n.useDNS, shareMounts, n.makeNetwork,
		func() error { return unix.Sethostname([]byte(nodeName)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("cannot prepare the node's namespaces: %w", err)
		}
	}
	return nil
}

// unshareMounts keeps what is mounted from now on to these namespaces.
func unshareMounts() error { return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE) }

// shareMounts lets containers see what kubelet mounts for them.
func shareMounts() error { return mount("", "/", "", unix.MS_REC|unix.MS_SHARED) }

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", target, err)
	}
	return nil
}

// makeFolders makes the node's folders, empty but for that with the images.
func (n *node) makeFolders() error {
	if err := os.RemoveAll(n.path()); err != nil {
		return err
	}
	for _, name := range []string{"lib", "log", "cgroup", "kubelet", "volumeplugins", "cni", "tunables"} {
		if err := os.MkdirAll(n.path(name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// mountKernel mounts what the kernel shows of processes and of networks anew, and keeps the cgroups where they were.
func (n *node) mountKernel() error {
	return errors.Join(
		mount("proc", "/proc", "proc", 0),
		mount("/sys/fs/cgroup", n.path("cgroup"), "", unix.MS_BIND|unix.MS_REC),
		mount("sysfs", "/sys", "sysfs", 0),
		mount(n.path("cgroup"), "/sys/fs/cgroup", "", unix.MS_MOVE),
	)
}

// mountFolders hides the machine's folders that the node's programs write to.
func (n *node) mountFolders() error {
	return errors.Join(
		mount("tmpfs", "/run", "tmpfs", 0),
		mount(n.path("lib"), "/var/lib", "", unix.MS_BIND),
		mount(n.path("log"), "/var/log", "", unix.MS_BIND),
	)
}

func (n *node) hideTunables() error {
	for name, value := range tunables {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue
		}
		file := n.path("tunables", filepath.Base(name))
		if err := errors.Join(write(file, value), mount(file, target, "", unix.MS_BIND)); err != nil {
			return err
		}
	}
	return nil
}

// useDNS lets those who enter the namespaces use the names of Services as Pods do: nobody else would answer them.
func (n *node) useDNS() error {
	const used = "/etc/resolv.conf"
	text := "nameserver " + nodeAddress + "\nsearch svc." + clusterDomain + " " + clusterDomain + "\noptions ndots:5\n"
	file := n.path("resolv.conf")
	if err := write(file, text); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(used); err == nil {
		return mount(file, target, "", unix.MS_BIND)
	}
	target, err := os.Readlink(used)
	if err != nil {
		return nil //nolint:nilerr // the machine asks nobody for names, so that there is nothing to take the place of
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join("/etc", target)
	}
	if !strings.HasPrefix(target, "/run/") {
		return nil
	}
	// It was in the folder that the node has its own of.
	return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.Symlink(file, target))
}

// makeNetwork makes the bridge of the Pods, which has the node's address. A loopback address is refused, and without the route to
// Services nothing that the node sends to one would get as far as where kube-proxy directs it to a Pod.
func (n *node) makeNetwork() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "cni0", "type", "bridge"},
		{"address", "add", nodeAddress + "/24", "dev", "cni0"},
		{"link", "set", "cni0", "up"},
		{"route", "add", serviceRange, "dev", "cni0"},
	} {
		if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", args, err, output)
		}
	}
	return write("/proc/sys/net/ipv4/ip_forward", "1")
}
