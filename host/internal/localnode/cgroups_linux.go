package localnode

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of the cgroups that clusters make, one for each, in every hierarchy.
const cgroupPrefix = "wasmloop-node-"

// cgroupRoots returns where the hierarchies are mounted: one with cgroup v2, many with v1.
func cgroupRoots() (roots []string, err error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("cannot find the cgroups: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if kind := fields[2]; (kind == "cgroup" || kind == "cgroup2") && !slices.Contains(roots, fields[1]) {
			roots = append(roots, fields[1])
		}
	}
	return roots, nil
}

// makeCgroups makes a cgroup of this name in every hierarchy.
func makeCgroups(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, name), 0o755), delegate(root, name)); err != nil {
			return fmt.Errorf("cannot make the cluster's cgroups: %w", err)
		}
	}
	return nil
}

// delegate lets a new cgroup have what its hierarchy controls: cgroup v2 asks for it at the parent, and in v1 a cpuset is
// empty until it is filled.
func delegate(root, name string) error {
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		var enable []string
		for controller := range strings.FieldsSeq(string(controllers)) {
			enable = append(enable, "+"+controller)
		}
		return write(filepath.Join(root, "cgroup.subtree_control"), strings.Join(enable, " "))
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, write(filepath.Join(root, name, file), string(bytes.TrimSpace(value)))); err != nil {
			return err
		}
	}
	return nil
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

// removeCgroups removes this cluster's cgroups. One with processes cannot be removed, and those that have just ended may still be in
// it for a moment.
func removeCgroups(name string) error {
	own, err := findCgroups(name)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); len(own) > 0; time.Sleep(50 * time.Millisecond) {
		own = slices.DeleteFunc(own, func(dir string) bool { return removeTree(dir) == nil })
		if len(own) > 0 && time.Now().After(deadline) {
			return fmt.Errorf("cannot remove the cluster's cgroups %s: remove them with rmdir", strings.Join(own, ", "))
		}
	}
	return nil
}

// removeAbandoned removes the cgroups of clusters that were killed and could not do it themselves. It is a courtesy: what cannot be removed stays.
func removeAbandoned() error {
	others, err := findCgroups(cgroupPrefix + "*")
	for _, dir := range others {
		process := strings.TrimPrefix(filepath.Base(dir), cgroupPrefix)
		if _, err := os.Stat("/proc/" + process); errors.Is(err, fs.ErrNotExist) {
			_ = removeTree(dir)
		}
	}
	return err
}

func findCgroups(pattern string) (found []string, err error) {
	roots, err := cgroupRoots()
	for _, root := range roots {
		dirs, _ := filepath.Glob(filepath.Join(root, pattern))
		found = append(found, dirs...)
	}
	return found, err
}

// killCgroups kills all processes in this cluster's cgroups.
func killCgroups(name string) error {
	own, err := findCgroups(name)
	if err != nil {
		return err
	}
	for _, root := range own {
		err = errors.Join(err, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == "cgroup.procs" {
				return killAll(path)
			}
			return nil // the cgroup has just gone
		}))
	}
	return err
}

// killAll kills the processes that a file lists.
func killAll(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil // the cgroup has just gone
	}
	for number := range strings.FieldsSeq(string(text)) {
		process, parseErr := strconv.Atoi(number)
		if parseErr == nil && process > 0 { // 0 would mean our own, and stands for one elsewhere
			_ = unix.Kill(process, unix.SIGKILL) // it may have just ended
		}
	}
	return err
}

// removeTree removes a cgroup with those in it. Files in cgroups come and go with them.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
