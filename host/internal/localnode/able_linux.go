package localnode

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// programs are what a node runs and this project does not build.
var programs = []string{"containerd", "ctr", "runc", "ip", "nft", "nsenter"}

// pluginFolders are where distributions have the plugins of containers' networks.
var pluginFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// checkAble returns why this machine cannot run a node, if it cannot.
func checkAble() error {
	checks := []func() error{checkRoot, checkNamespaces, checkPrograms, checkCgroups}
	for _, check := range checks {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnable, err)
		}
	}
	return nil
}

func checkRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("you are not root, and namespaces, mounts and cgroups need it: use sudo")
	}
	return nil
}

// checkNamespaces makes namespaces and mounts something in them, as a node has to: root in a container often may not.
func checkNamespaces() error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	try := exec.Command(executable)
	try.Env = append(os.Environ(), stageVariable+"="+stageTry)
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if output, err := try.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not let root make namespaces and mount file systems in them: "+
			"use a machine, or a container with --privileged: %w\n%s", err, output)
	}
	return nil
}

// try is what checkNamespaces starts.
func try() error {
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", 0, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", 0, ""),
	)
}

func checkPrograms() error {
	missing := slices.DeleteFunc(slices.Clone(programs), func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	})
	if pluginFolder() == "" {
		missing = append(missing, "the network plugin bridge in one of "+strings.Join(pluginFolders, ", "))
	}
	if len(missing) > 0 {
		return fmt.Errorf("it lacks %s: run host/test/cluster/install.sh", strings.Join(missing, ", "))
	}
	return nil
}

// pluginFolder returns the folder with the network plugins, empty if there is none.
func pluginFolder() string {
	for _, folder := range pluginFolders {
		if _, err := os.Stat(folder + "/bridge"); err == nil {
			return folder
		}
	}
	return ""
}

func checkCgroups() error {
	found, err := cgroupRoots()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("no cgroups are mounted in /sys/fs/cgroup: mount them")
	}
	return nil
}
