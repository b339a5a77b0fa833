//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package guest

import (
	"os"
	"syscall"
)

// lockFile waits for an exclusive lock, which ends when the file is closed.
func lockFile(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }
