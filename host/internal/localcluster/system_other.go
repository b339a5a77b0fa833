//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package localcluster

import (
	"os"
	"syscall"
)

// lockFile does nothing where there are no advisory locks: there nothing tells that a folder is in use.
func lockFile(*os.File) error { return nil }

func ownProcessGroup() *syscall.SysProcAttr { return nil }
