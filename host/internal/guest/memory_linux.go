package guest

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hostPage = 4 << 10
	// maxDirty is how many pages of an instance may be its own before it is given back to the image as a whole.
	maxDirty = 256
)

// The bits of an entry in /proc/self/pagemap that tell whether a page of a private file mapping was ever written.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
)

// restoreMode is how the memory of an instance is put back after a call.
type restoreMode int

const (
	restoreBest     restoreMode = iota
	restorePagemap              // private mapping; pages that were written are copied back
	restoreDontneed             // private mapping; pages that were written are dropped
	restoreCopy                 // the whole image is copied back
	restoreFresh                // not at all: each call makes an instance of its own
)

func (m restoreMode) String() string {
	return [...]string{"best", "copy-on-write", "copy-on-write (no pagemap)", "copy", "fresh instance"}[m]
}

// pagemap tells which pages of this process were written.
type pagemap struct{ file *os.File }

// openPagemap opens the only one that is needed, which stays open.
var openPagemap = sync.OnceValues(func() (*pagemap, error) {
	if os.Getpagesize() != hostPage {
		return nil, fmt.Errorf("pages of %d bytes are not supported", os.Getpagesize())
	}
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	return &pagemap{file}, nil
})

// read reads the entries of memory's pages into entries.
func (p *pagemap) read(memory []byte, entries []byte) error {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	_, err := p.file.ReadAt(entries[:len(memory)/hostPage*8], int64(start/hostPage*8))
	return err
}

// reserve reserves address space for a memory. Its pages cost nothing before they are written.
func reserve(size uint64) ([]byte, error) {
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("cannot reserve %s of address space: %w", bytesText(size), err)
	}
	return unsafe.Slice((*byte)(at), size), nil
}

func release(memory []byte) {
	_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(memory)), uintptr(len(memory))) // fails only for what is not mapped
}

// snapshot is a memory as it is at the start of each call: an anonymous file that instances map privately.
type snapshot struct {
	fd     int
	shared []byte // a read-only view of it
	pages  *pagemap
}

func newSnapshot(memory []byte, mode restoreMode) (*snapshot, error) {
	s := &snapshot{fd: -1}
	if mode == restoreCopy || len(memory) == 0 {
		s.shared = append([]byte(nil), memory...)
		return s, nil
	}
	if mode != restoreDontneed {
		pages, err := openPagemap()
		if err != nil && mode == restorePagemap {
			return nil, err
		}
		s.pages = pages
	}
	if err := s.fill(memory); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *snapshot) fill(memory []byte) (err error) {
	if s.fd, err = unix.MemfdCreate("wasmloop-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING); err != nil {
		return fmt.Errorf("cannot create an image: %w", err)
	}
	if err := unix.Ftruncate(s.fd, int64(len(memory))); err != nil {
		return fmt.Errorf("cannot size an image: %w", err)
	}
	writable, err := unix.Mmap(s.fd, 0, len(memory), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("cannot map an image: %w", err)
	}
	copyPages(writable, memory)
	if err := unix.Munmap(writable); err != nil {
		return fmt.Errorf("cannot unmap an image: %w", err)
	}
	// From here on nobody can change it, by mistake or on purpose.
	if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("cannot seal an image: %w", err)
	}
	s.shared, err = unix.Mmap(s.fd, 0, len(memory), unix.PROT_READ, unix.MAP_SHARED)
	return err
}

// copyPages copies the pages that are not zero. The others stay holes.
func copyPages(dst, src []byte) {
	var zero [hostPage]byte
	for at := 0; at < len(src); at += hostPage {
		if page := src[at : at+hostPage]; string(page) != string(zero[:]) {
			copy(dst[at:], page)
		}
	}
}

func (s *snapshot) close() {
	if s.fd < 0 {
		return
	}
	if s.shared != nil {
		_ = unix.Munmap(s.shared)
	}
	_ = unix.Close(s.fd) // nothing was written that could be lost
}

// mode says how memory is put back.
func (s *snapshot) mode() restoreMode {
	switch {
	case s.fd < 0:
		return restoreCopy
	case s.pages == nil:
		return restoreDontneed
	default:
		return restorePagemap
	}
}

// install makes memory, the beginning of what reserve returned, look like the snapshot.
func (s *snapshot) install(memory []byte) error {
	if s.fd < 0 {
		copy(memory, s.shared)
		return nil
	}
	at := unsafe.Pointer(unsafe.SliceData(memory))
	_, err := unix.MmapPtr(s.fd, 0, at, uintptr(len(memory)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("cannot map an image: %w", err)
	}
	return nil
}

// restore puts an installed memory back, which may have grown: what is beyond the image is zero again. entries is scratch
// space of 8 bytes a page.
//
// Pages that were written are the instance's own from then on. There are few, and copying them is cheaper than dropping
// them, which costs a page fault each in the next call.
func (s *snapshot) restore(memory []byte, entries []byte) error {
	if s.fd < 0 {
		clear(memory[copy(memory, s.shared):])
		return nil
	}
	if s.pages == nil || s.pages.read(memory, entries) != nil {
		return unix.Madvise(memory, unix.MADV_DONTNEED)
	}
	dirty := 0
	for page := range len(memory) / hostPage {
		entry := binary.NativeEndian.Uint64(entries[page*8:])
		if entry&(pagePresent|pageSwapped) == 0 || entry&pageOfFile != 0 {
			continue
		}
		if dirty++; dirty > maxDirty {
			return unix.Madvise(memory, unix.MADV_DONTNEED)
		}
		s.restorePage(memory, page*hostPage)
	}
	return nil
}

func (s *snapshot) restorePage(memory []byte, at int) {
	own := memory[at : at+hostPage]
	if at < len(s.shared) {
		copy(own, s.shared[at:])
	} else {
		clear(own)
	}
}
