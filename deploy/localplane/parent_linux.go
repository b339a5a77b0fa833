package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"
)

// parentDied is what the kernel sends us when the parent ends. No component uses this signal for anything else.
const parentDied = unix.SIGUSR2

func init() {
	// The wish belongs to the thread that voices it. The main goroutine stays on the main thread until main is
	// called, and that thread lives as long as the process.
	runtime.LockOSThread()
}

// endWithParent arranges that this process ends when its parent does, however that ends: envtest gives its servers
// a process group only, so a kill -9 of the parent would leave them behind.
func endWithParent() error {
	defer runtime.UnlockOSThread()
	parent := os.Getppid()
	died := make(chan os.Signal, 1)
	signal.Notify(died, parentDied)
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(parentDied), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != parent {
		return errors.New("it has ended already")
	}
	go func() {
		for range died {
			// The kernel speaks of the parent's thread; the parent is gone only when we have got another.
			if os.Getppid() != parent {
				os.Exit(1)
			}
		}
	}()
	return nil
}
