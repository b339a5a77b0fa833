package localnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The program that starts a cluster is started again for what happens in the namespaces, twice: the first process in there
// has to collect whatever ends and is nobody's child, and the second does the work.
const (
	stageVariable    = "WASMLOOP_LOCALNODE_STAGE"
	settingsVariable = "WASMLOOP_LOCALNODE_SETTINGS"

	stageTry  = "try"
	stageInit = "init"
	stageNode = "node"

	namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
)

// The files that the processes in the namespaces are given, beside the usual three. Standard input ends when the cluster is to
// end, or when the process that started it has ended.
const (
	listenerFD = 3 // listens on the port of kube-apiserver on this machine's 127.0.0.1
	reportFD   = 4 // takes what became of the start
)

// started is what is reported of a start that succeeded; of another it is the error.
const started = "started"

// stopTimeout is how long the servers may take to end before they are killed.
const stopTimeout = 20 * time.Second

// settings are what the processes in the namespaces need to know.
type settings struct {
	Dir    string
	Assets string
	Port   int
	Cgroup string
}

// Init must come first in the main function of a program that starts clusters: the processes that Start makes of the program do
// their work in it, and do not return.
func Init() {
	switch os.Getenv(stageVariable) {
	case "":
		return
	case stageTry:
		exit(try())
	case stageInit:
		os.Exit(reap())
	case stageNode:
		exit(runNode())
	default:
		exit(errors.New(stageVariable + " is set, which is for the program's own use: unset it"))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// reap is the first process: it starts the second, collects what ends, and ends with it, which ends all others.
func reap() int {
	executable, err := os.Executable()
	if err != nil {
		exit(err)
	}
	if err := os.Setenv(stageVariable, stageNode); err != nil {
		exit(err)
	}
	files := []uintptr{0, 1, 2, listenerFD, reportFD}
	node, err := syscall.ForkExec(executable, os.Args, &syscall.ProcAttr{Env: os.Environ(), Files: files})
	if err != nil {
		exit(err)
	}
	// Who reads reports must see them end when the second process does.
	_ = unix.Close(reportFD)
	for {
		var status unix.WaitStatus
		if ended, err := unix.Wait4(-1, &status, 0, nil); err == nil && ended == node {
			return status.ExitStatus()
		}
	}
}

// runNode is the second process: it starts the cluster, reports, and stops it when standard input ends.
func runNode() error {
	var s settings
	if err := json.Unmarshal([]byte(os.Getenv(settingsVariable)), &s); err != nil {
		return fmt.Errorf("cannot read the settings: %w", err)
	}
	for _, fd := range []int{listenerFD, reportFD} {
		unix.CloseOnExec(fd) // they are not for the servers
	}
	report := os.NewFile(reportFD, "report")
	n := &node{settings: s}
	err := n.start(context.Background())
	if err != nil {
		fmt.Fprint(report, err)
		return errors.Join(err, n.stop())
	}
	fmt.Fprint(report, started)
	_ = report.Close()
	_, _ = io.Copy(io.Discard, os.Stdin)
	time.AfterFunc(stopTimeout, func() { exit(errors.New("the servers do not end")) })
	return n.stop()
}
