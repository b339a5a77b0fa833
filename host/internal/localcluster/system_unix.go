//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package localcluster

import (
	"os"
	"syscall"
)

// lockFile takes an exclusive lock that ends with the process, or fails at once.
func lockFile(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// ownProcessGroup keeps a terminal's Ctrl-C from the servers: they are stopped in order instead.
func ownProcessGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
