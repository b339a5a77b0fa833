package record

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// waitingRecordings is how many recordings wait to be written at most. More are dropped: a slow disk must not slow
	// reconciles down.
	waitingRecordings = 256
	// timeForm is how the names of files begin, so that they are in the order of time.
	timeForm = "20060102T150405.000000000"
	suffix   = ".json"
)

// StoreOptions say what is recorded.
type StoreOptions struct {
	// Dir is the folder for the files. It is made, for this user alone, if it is missing.
	Dir string
	// MaxBytes bounds the size of all files together: the oldest go first. Default 100 MiB.
	MaxBytes int64
	// FailuresOnly has just those calls recorded that failed, or whose answer is none or says that it failed.
	FailuresOnly bool
	// Secrets has the contents of Secrets recorded too.
	Secrets bool
	// Done is told of each recording whether it was written, or why not. It may be nil.
	Done func(err error)
}

// errDropped is why a recording is not written that comes while too many wait.
var errDropped = errors.New("recordings come faster than they can be written")

// Store writes recordings to a folder.
type Store struct {
	options StoreOptions
	waiting chan *Recording
	written sync.WaitGroup
	files   []file // oldest first
	size    int64
}

type file struct {
	name string
	size int64
}

// Open opens a Store. What other processes have left there counts too, and goes first.
func Open(options StoreOptions) (*Store, error) {
	options.MaxBytes = cmp.Or(options.MaxBytes, 100<<20)
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep recordings: %w", err)
	}
	s := &Store{options: options, waiting: make(chan *Recording, waitingRecordings)}
	entries, err := os.ReadDir(options.Dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("cannot keep recordings: %w", err)
	}
	for _, entry := range entries {
		if _, err := time.Parse(timeForm, strings.SplitN(entry.Name(), "_", 2)[0]); err != nil || !strings.HasSuffix(entry.Name(), suffix) {
			continue // none of ours
		}
		if info, err := entry.Info(); err == nil {
			s.files, s.size = append(s.files, file{entry.Name(), info.Size()}), s.size+info.Size()
		}
	}
	s.written.Go(s.write)
	return s, nil
}

// Add has a recording written soon. It does not wait. The recording must not be changed afterwards.
func (s *Store) Add(r *Recording) {
	if s.options.FailuresOnly && !r.failed() {
		return
	}
	select {
	case s.waiting <- r:
	default:
		s.done(errDropped)
	}
}

// Close writes what waits. Nothing may be added afterwards.
func (s *Store) Close() {
	close(s.waiting)
	s.written.Wait()
}

func (s *Store) done(err error) {
	if s.options.Done != nil {
		s.options.Done(err)
	}
}

func (s *Store) write() {
	for r := range s.waiting {
		s.done(s.writeOne(r))
	}
}

func (s *Store) writeOne(r *Recording) error {
	if !s.options.Secrets {
		copied := *r
		copied.Request, copied.Response, copied.Redacted = redact(r.Request), string(redact([]byte(r.Response))), true
		r = &copied
	}
	encoded, err := r.encode()
	if err != nil {
		return err
	}
	if int64(len(encoded)) > s.options.MaxBytes {
		return fmt.Errorf("a recording of %d bytes is larger than all may be together, %d bytes", len(encoded), s.options.MaxBytes)
	}
	if err := s.makeRoom(int64(len(encoded))); err != nil {
		return err
	}
	name := s.name(r)
	if err := os.WriteFile(filepath.Join(s.options.Dir, name), encoded, 0o600); err != nil {
		return fmt.Errorf("cannot write a recording: %w", err)
	}
	s.files, s.size = append(s.files, file{name, int64(len(encoded))}), s.size+int64(len(encoded))
	return nil
}

// makeRoom removes the oldest files until there is room.
func (s *Store) makeRoom(size int64) error {
	for len(s.files) > 0 && s.size+size > s.options.MaxBytes {
		oldest := s.files[0]
		if err := os.Remove(filepath.Join(s.options.Dir, oldest.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot make room for a recording: %w", err)
		}
		s.files, s.size = s.files[1:], s.size-oldest.size
	}
	return nil
}

// name returns the name of a recording's file: when it was, of which controller and of which object.
func (s *Store) name(r *Recording) string {
	namespace, name, err := r.subject()
	if err != nil {
		name = "unknown"
	}
	parts := slices.DeleteFunc([]string{r.Time.UTC().Format(timeForm), r.Controller, namespace, name}, func(part string) bool { return part == "" })
	safe := strings.Map(func(c rune) rune {
		if c == '/' || c == os.PathSeparator {
			return '-'
		}
		return c
	}, strings.Join(parts, "_"))
	const longest = 200 // of the 255 bytes that file systems allow
	return safe[:min(len(safe), longest)] + suffix
}
