//go:build !linux

package guest

// restoreMode is how the memory of an instance is put back after a call.
type restoreMode int

const (
	restoreBest restoreMode = iota
	restorePagemap
	restoreDontneed
	restoreCopy  // the whole image is copied back: all that there is without Linux
	restoreFresh // not at all: each call makes an instance of its own
)

func (m restoreMode) String() string {
	return [...]string{"best", "copy-on-write", "copy-on-write (no pagemap)", "copy", "fresh instance"}[m]
}

const hostPage = 4 << 10

func reserve(size uint64) ([]byte, error) { return make([]byte, size), nil }

func release([]byte) {}

// snapshot is a memory as it is at the start of each call.
type snapshot struct{ shared []byte }

func newSnapshot(memory []byte, _ restoreMode) (*snapshot, error) {
	return &snapshot{append([]byte(nil), memory...)}, nil
}

func (s *snapshot) close() {}

func (s *snapshot) mode() restoreMode { return restoreCopy }

func (s *snapshot) install(memory []byte) error { return s.restore(memory, nil) }

func (s *snapshot) restore(memory, _ []byte) error {
	clear(memory[copy(memory, s.shared):])
	return nil
}
