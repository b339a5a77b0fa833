package localnode

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

const temporaryPrefix = "wasmloop-localnode-"

// Cluster is a running cluster with a node.
type Cluster struct {
	dir     string
	cgroup  string
	process *exec.Cmd
	// temporary is true if nothing of it stays.
	temporary bool
	// alive is closed to end the cluster. The kernel closes it, too, when this process ends.
	alive io.Closer

	undo []func() error
	stop func() error
}

// Start starts a cluster and returns when its node is ready for Pods. When it fails it leaves nothing behind. The program's main
// function must begin with Init. One cluster at a time can be started by a process.
//
// The cluster runs until Stop is called, or this process ends, even if it is killed.
//
// The error wraps ErrUnable when this machine cannot run a node.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if err := checkAble(); err != nil {
		return nil, err
	}
	c := &Cluster{cgroup: cgroupPrefix + strconv.Itoa(os.Getpid())}
	c.stop = sync.OnceValue(c.stopAll)
	if err := c.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the cluster: %w", err), c.Stop())
	}
	return c, nil
}

// Stop ends everything in the cluster and removes a temporary folder. It returns when all has ended. Calling it again, or
// while another call is under way, waits for that one and returns what it returned.
func (c *Cluster) Stop() error { return c.stop() }

// KubeconfigPath returns the absolute path of a kubeconfig file for a user that may do everything. It is good on this machine and
// in the cluster's namespaces.
func (c *Cluster) KubeconfigPath() string { return filepath.Join(c.dir, "kubeconfig") }

// Process returns the number of the first process in the cluster's namespaces.
func (c *Cluster) Process() int { return c.process.Process.Pid }

// Command returns a command that runs in the cluster's namespaces, in the folder /. What it sees of the machine's files is all
// but /run, /var/lib and /var/log.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(c.Process()), "--mount", "--uts", "--ipc", "--net", "--pid", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

func (c *Cluster) start(ctx context.Context, options Options) error {
	if err := c.openFolder(options.Dir); err != nil {
		return err
	}
	if err := errors.Join(removeAbandoned(), makeCgroups(c.cgroup)); err != nil {
		return errors.Join(err, removeCgroups(c.cgroup))
	}
	c.undo = append(c.undo, func() error { return removeCgroups(c.cgroup) })
	listener, port, err := listen(localcluster.LastPort(c.dir))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // there is nothing more to do with it
	options.Log.Info("starting the control plane and a node in namespaces of their own", "folder", c.dir)
	report, err := c.enter(settings{Dir: c.dir, Assets: options.Assets, Port: port, Cgroup: c.cgroup}, listener)
	if err != nil {
		return err
	}
	return awaitReport(ctx, report)
}

func (c *Cluster) openFolder(dir string) (err error) {
	if c.temporary = dir == ""; c.temporary {
		localcluster.RemoveAbandoned(temporaryPrefix)
		c.dir, err = os.MkdirTemp("", temporaryPrefix)
		c.undo = append(c.undo, func() error { return os.RemoveAll(c.dir) })
		return err
	}
	if c.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	return os.MkdirAll(c.dir, 0o700)
}

// listen takes a port of this machine for kube-apiserver: the preferred one, or any.
func listen(preferred int) (file *os.File, port int, err error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: preferred})
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = listener.Close() }() // there is nothing more to do with it
	file, err = listener.File()
	return file, listener.Addr().(*net.TCPAddr).Port, err
}

// enter starts this program again, as the first process in new namespaces, and returns what it reports.
func (c *Cluster) enter(s settings, listener *os.File) (report *os.File, err error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	report, reported, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = reported.Close() }() // there is nothing more to do with it
	c.process = exec.Command(executable, os.Args[1:]...)
	c.process.Env = append(os.Environ(), stageVariable+"="+stageInit, settingsVariable+"="+string(text))
	// A terminal's Ctrl-C is for this process, which ends those in order.
	c.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setpgid: true}
	c.process.ExtraFiles = []*os.File{listener, reported}
	c.process.Stderr = os.Stderr
	if c.alive, err = c.process.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	c.undo = append(c.undo, c.leave)
	return report, nil
}

// leave ends the processes in the namespaces, kills them when they do not, and waits for them. Those of a temporary cluster have
// nothing to bring in order, and are killed at once, which may be long before the API server has seen its last watch end.
func (c *Cluster) leave() error {
	if c.temporary {
		err := c.process.Process.Kill()
		_ = c.process.Wait() // it was killed; this closes c.alive, too
		return err
	}
	kill := time.AfterFunc(stopTimeout+5*time.Second, func() { _ = c.process.Process.Kill() })
	defer kill.Stop()
	if err := c.alive.Close(); err != nil {
		return err
	}
	if err := c.process.Wait(); err != nil {
		return fmt.Errorf("cannot end the cluster in order: %w", err)
	}
	return nil
}

// awaitReport waits until the cluster has started, and returns why it has not.
func awaitReport(ctx context.Context, report *os.File) error {
	defer func() { _ = report.Close() }() // there is nothing more to do with it
	done := context.AfterFunc(ctx, func() { _ = report.SetReadDeadline(time.Now()) })
	defer done()
	text, err := io.ReadAll(report)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case string(text) != started:
		return errors.New(cmp.Or(string(text), "its first process ended at once"))
	}
	return nil
}

func (c *Cluster) stopAll() error {
	var errs []error
	for len(c.undo) > 0 {
		last := len(c.undo) - 1
		errs = append(errs, c.undo[last]())
		c.undo = c.undo[:last]
	}
	return errors.Join(errs...)
}
