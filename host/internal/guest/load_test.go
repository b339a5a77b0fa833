package guest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whoever waits for a module that another loads, or for the one compilation at a time, can give up.
func TestWaitingForALoadCanBeCancelled(t *testing.T) {
	cause := errors.New("nobody wants it any more")
	cases := map[string]func(r *Runtime, m *Module) (done func()){
		"loaded by another": func(_ *Runtime, m *Module) func() {
			m.program.loading <- struct{}{}
			return func() { <-m.program.loading }
		},
		"compilation of another": func(r *Runtime, _ *Module) func() {
			r.compiling <- struct{}{}
			return func() { <-r.compiling }
		},
	}
	for name, occupy := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRuntime(t, Options{})
			m := load(t, r, fixture(t, "answers"), Limits{})
			if err := m.program.unload(t.Context()); err != nil { // as if it had been idle
				t.Fatal(err)
			}
			done := occupy(r, m)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
			_, callErr := m.Call(ctx, nil, noLog)
			_, loadErr := r.Load(ctx, fixture(t, "answers"), Limits{}, Hermetic)
			for _, err := range []error{callErr, loadErr} {
				if !errors.Is(err, cause) {
					t.Errorf("error %v, want what the context was cancelled with", err)
				}
			}
			done()
			expect(t, m, "hello", "hello")
		})
	}
}

// With a folder the module itself is not kept in memory. It comes back whatever becomes of the folder, and never as
// another.
func TestModuleIsKeptOnDisk(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, Options{CacheDir: dir})
	m := load(t, r, fixture(t, "answers"), Limits{})
	r.tidy()
	if m.program.source.wasm != nil {
		t.Error("the module is still in memory")
	}
	if err := os.RemoveAll(r.cache.dir); err != nil {
		t.Fatal(err)
	}
	again := func() {
		t.Helper()
		p := m.program
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := p.drop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again()
	expect(t, m, "hello", "hello")
	if left, err := filepath.Glob(filepath.Join(dir, "*", "module-*")); err != nil || len(left) > 0 {
		t.Errorf("%q are left: %v", left, err)
	}
	again()
	if _, err := m.program.source.file.WriteAt([]byte("x"), 3); err != nil {
		t.Fatal(err)
	}
	if got, _ := callFor(t, m, "hello"); got.Load != "it cannot be read again" {
		t.Errorf("outcome %+v, want an error of loading", got)
	}
}
