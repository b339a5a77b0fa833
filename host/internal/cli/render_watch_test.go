package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// shared is a buffer that is read while it is written.
type shared struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (s *shared) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(data)
}

// await waits until something was written, and forgets all that was.
func (s *shared) await(t *testing.T, part string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		written := s.buffer.String()
		found := strings.Contains(written, part)
		if found {
			s.buffer.Reset()
		}
		s.mu.Unlock()
		if found {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is not in:\n%s", part, written)
		}
	}
}

// TestRenderWatch changes an object, breaks it and mends it, while it is rendered.
func TestRenderWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(book)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stderr, ended := &shared{}, &shared{}, make(chan int)
	go func() {
		ended <- Run(ctx, []string{"render", "--watch", "--config=" + absolute(t, "config/wasmloop.yaml"), compiled(t), path}, stdout, stderr)
	}()
	stdout.await(t, "SUMMARY.md: '# S'")
	stderr.await(t, "waiting for a change")
	put(strings.Replace(book, "# S", "# Changed", 1))
	stdout.await(t, "SUMMARY.md: '# Changed'")
	stderr.await(t, "waiting for a change")
	put("nonsense: [")
	stderr.await(t, "is not YAML")
	put(book)
	stdout.await(t, "SUMMARY.md: '# S'")
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("Ctrl-C is how it ends: got the exit code %d", code)
	}
}
