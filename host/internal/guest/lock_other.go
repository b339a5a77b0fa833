//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package guest

import "os"

// lockFile does nothing where there are no advisory locks: there processes must not share a cache.
func lockFile(*os.File) error { return nil }
