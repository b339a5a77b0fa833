package localcluster

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// processesOf returns the processes that have dir in their command line, which each of a cluster's servers has.
func processesOf(t *testing.T, dir string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		line, _ := os.ReadFile(file) // a process may have ended since
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if bytes.Contains(line, []byte(dir)) && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// listenersOf returns the addresses that the process listens on, in hexadecimal and of any protocol version.
func listenersOf(t *testing.T, pid int) []string {
	t.Helper()
	const listening = "0A"
	sockets := socketsOf(pid)
	var addresses []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if fields[3] == listening && slices.Contains(sockets, "socket:["+fields[9]+"]") {
				address, _, _ := strings.Cut(fields[1], ":")
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}

func socketsOf(pid int) []string {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	var sockets []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			sockets = append(sockets, target)
		}
	}
	return sockets
}

// loopbackInHex is how the kernel's tables write 127.0.0.1: in the machine's byte order, which is little-endian here.
func loopbackInHex() string {
	return strings.ToUpper(hex.EncodeToString([]byte{1, 0, 0, 127}))
}
