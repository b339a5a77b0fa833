package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStoreWithoutRegistry fetches while the registry is down.
func TestStoreWithoutRegistry(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{StoreDir: t.TempDir()}, r)
	pushed := push(t, c, r.url("acme/site:1"), "abc")
	fetch(t, c, r.url("acme/site:1"))
	r.asked()
	if got := fetch(t, c, pushed.Pinned); string(got.Bytes) != "abc" || got.Stale != nil || len(r.asked()) > 0 {
		t.Errorf("one that is pinned needs no registry: got %+v", got)
	}
	if got := fetch(t, c, r.url("another/name@"+pushed.Manifest)); string(got.Bytes) != "abc" {
		t.Errorf("the digest decides: got %+v", got)
	}
	r.down()
	got := fetch(t, c, r.url("acme/site:1"))
	if got.Stale == nil || !strings.Contains(got.Stale.Error(), "503") {
		t.Errorf("it is not said that the registry is down: %v", got.Stale)
	}
	got.Stale = nil
	if diff := cmp.Diff(pushed, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := c.Fetch(t.Context(), r.url("acme/site:2")); err == nil {
		t.Error("a tag that nobody asked for is there")
	}
	r.Close()
	if got := fetch(t, c, r.url("acme/site:1")); got.Stale == nil {
		t.Error("a registry that is gone is one that is down")
	}
}

// TestStoreIsNoAnswer fetches a tag that the registry gives an answer about, which is not what was stored.
func TestStoreIsNoAnswer(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{StoreDir: t.TempDir()}, r)
	push(t, c, r.url("acme/site:1"), "abc")
	fetch(t, c, r.url("acme/site:1"))
	for _, status := range []int{404, 403, 401} {
		answer(r, status)
		if got, err := c.Fetch(t.Context(), r.url("acme/site:1")); err == nil {
			t.Errorf("%d: got %+v", status, got)
		}
	}
}

// TestStoreTakesLittle downloads what is in the store already not once more.
func TestStoreTakesLittle(t *testing.T) {
	r := newRegistry(t)
	c := newClient(t, Options{StoreDir: t.TempDir()}, r)
	push(t, c, r.url("acme/site:1"), "abc")
	fetch(t, c, r.url("acme/site:1"))
	r.asked()
	fetch(t, c, r.url("acme/site:1"))
	if asked := strings.Join(r.asked(), "\n"); strings.Contains(asked, "/blobs/") {
		t.Errorf("it asked for\n%s", asked)
	}
}

// files returns the files of a store, but for its lock.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "lock" {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestStoreIsVerified spoils each file of a store in turn.
func TestStoreIsVerified(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	c := newClient(t, Options{StoreDir: dir}, r)
	pushed := push(t, c, r.url("acme/site:1"), "abc")
	if err := c.Attach(t.Context(), pushed.Pinned, Signature{Payload: []byte("{}"), Signature: []byte("signed")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Save(t.Context(), []string{r.url("acme/site:1")}, &strings.Builder{}); err != nil { // has signatures, too
		t.Fatal(err)
	}
	spoilers := map[string]func(path string) error{
		"cut off": func(path string) error { return os.Truncate(path, 1) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"changed": func(path string) error { return os.WriteFile(path, []byte(`{"url": 1}`), 0o600) },
		"removed": os.Remove,
		"longer": func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, append(data, 'x'), 0o600))
		},
	}
	for _, path := range files(t, dir) {
		for name, spoil := range spoilers {
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{pushed.Pinned, r.url("acme/site:1")} {
				if got := fetch(t, c, url); string(got.Bytes) != "abc" || got.Stale != nil {
					t.Errorf("%s %s: %s has %+v", name, path, url, got)
				}
			}
			if _, err := c.Save(t.Context(), []string{r.url("acme/site:1")}, &strings.Builder{}); err != nil {
				t.Errorf("%s %s: %v", name, path, err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s %s: it was not made good: %v", name, path, err)
			}
		}
	}
}

// TestStoreLimit keeps what was used last, and nothing of what it has let go.
func TestStoreLimit(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	one := strings.Repeat("a", 10_000)
	c := newClient(t, Options{StoreDir: dir, StoreLimit: 35_000}, r)
	pushed := map[string]*Module{}
	for i, tag := range []string{"1", "2", "3"} {
		pushed[tag] = push(t, c, r.url("acme/site:"+tag), one+tag)
		fetch(t, c, r.url("acme/site:"+tag))
		usedAt(t, c, pushed[tag], i)
	}
	fetch(t, c, pushed["1"].Pinned) // is the one used last now
	pushed["4"] = push(t, c, r.url("acme/site:4"), one+"4")
	fetch(t, c, r.url("acme/site:4"))
	r.down()
	got := map[string]bool{}
	for tag, module := range pushed {
		_, err := c.Fetch(t.Context(), module.Pinned)
		got[tag] = err == nil
	}
	if diff := cmp.Diff(map[string]bool{"1": true, "2": false, "3": true, "4": true}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := len(files(t, dir)); got != 3*5 {
		t.Errorf("of three artifacts there are %d files", got)
	}
	if size := sizeOf(t, filepath.Join(dir, blobsFolder)); size > 35_000 {
		t.Errorf("the contents have %d bytes", size)
	}
}

// usedAt says that a module was used at some time, long ago.
func usedAt(t *testing.T, c *Client, module *Module, at int) {
	t.Helper()
	when := time.Unix(int64(at), 0)
	if err := os.Chtimes(c.store.path(artifactsFolder, module.Manifest), when, when); err != nil {
		t.Fatal(err)
	}
}

func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	for _, path := range files(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// TestStoreIsTooSmall fetches what does not fit: it is as good without being kept.
func TestStoreIsTooSmall(t *testing.T) {
	r := newRegistry(t)
	var warnings []error
	c := newClient(t, Options{StoreDir: t.TempDir(), StoreLimit: 100, Warn: func(err error) { warnings = append(warnings, err) }}, r)
	push(t, c, r.url("acme/site:1"), "abc")
	if got := fetch(t, c, r.url("acme/site:1")); string(got.Bytes) != "abc" || len(warnings) != 1 {
		t.Errorf("got %+v and %v", got, warnings)
	}
}

// TestHalfWritten leaves behind what a writer that was stopped would.
func TestHalfWritten(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	c := newClient(t, Options{StoreDir: dir}, r)
	half := filepath.Join(dir, blobsFolder, "abc.123"+halfWritten)
	if err := os.WriteFile(half, []byte("ab"), 0o600); err != nil {
		t.Fatal(err)
	}
	push(t, c, r.url("acme/site:1"), "abc")
	fetch(t, c, r.url("acme/site:1"))
	if _, err := os.Stat(half); err == nil {
		t.Error("the half is still there")
	}
}

// TestStoreIsShared has clients as of several processes write, read and let go at the same time.
func TestStoreIsShared(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	var pushed []*Module
	for i := range 6 {
		pushed = append(pushed, push(t, newClient(t, Options{}, r), r.url(fmt.Sprintf("acme/site:%d", i)), strings.Repeat("a", 10_000+i)))
	}
	var running sync.WaitGroup
	for range 4 {
		c := newClient(t, Options{StoreDir: dir, StoreLimit: 35_000}, r)
		running.Go(func() {
			for i := range 24 {
				want := pushed[i%len(pushed)]
				if got, err := c.Fetch(t.Context(), want.Pinned); err != nil || got.Digest != want.Digest {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	running.Wait()
	if size := sizeOf(t, filepath.Join(dir, blobsFolder)); size > 35_000 {
		t.Errorf("the contents have %d bytes", size)
	}
}

// TestStoreCannotBe opens a store where none can be.
func TestStoreCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{StoreDir: filepath.Join(file, "store")})
	fails(t, err, "cannot open the store of modules")
}
