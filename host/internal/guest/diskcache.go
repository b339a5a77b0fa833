package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
)

// diskCache is a folder of compiled modules: machine code that this process will run. So it belongs to this user alone,
// and each entry is checked against the digest that was noted when it was written; one that does not match is removed
// and compiled again. Processes may share the folder: a lock lets one at a time check and write.
type diskCache struct {
	dir     string
	wazero  wazero.CompilationCache
	folders []string // those of wazero's within dir

	mu sync.Mutex
	// digests are those of all entries, by file name, as last read or written.
	digests map[string]string
	// verified are the entries that were found to be as noted, and need no other look unless the file has changed.
	verified map[string]fileState
}

// fileState tells versions of a file apart.
type fileState struct {
	size     int64
	modified time.Time
}

// The files beside the folders of entries.
const (
	digestsFile = "digests.json" // notes the digests
	lockedFile  = "lock"
)

func openDiskCache(root string) (*diskCache, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(root, 0o700); err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "wazero-"+wazeroVersion()+"-meter-"+meter.Version)
	if err := removeOthers(root, dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	compiler, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, err
	}
	folders, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil {
		return nil, err
	}
	return &diskCache{dir: dir, wazero: compiler, folders: folders, verified: map[string]fileState{}}, nil
}

// lock keeps other processes from checking and writing until unlock is called.
func (c *diskCache) lock() (unlock func(), err error) {
	for _, folder := range c.folders { // a process of another version may have removed them
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(filepath.Join(c.dir, lockedFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// wazeroVersion returns the version of wazero that this program was built with.
func wazeroVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/tetratelabs/wazero" {
				return module.Version
			}
		}
	}
	return "unknown"
}

// removeOthers removes the folders of other versions.
func removeOthers(root, current string) error {
	folders, err := filepath.Glob(filepath.Join(root, "wazero-*-meter-*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if folder == current {
			continue
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// readDigests reads what was noted. Without it no entry is trusted.
func (c *diskCache) readDigests() {
	c.digests = nil
	data, err := os.ReadFile(filepath.Join(c.dir, digestsFile))
	if err != nil || json.Unmarshal(data, &c.digests) != nil || c.digests == nil {
		c.digests = map[string]string{}
	}
}

// verify removes all entries that are not what was noted of them.
func (c *diskCache) verify() error {
	c.readDigests()
	return c.entries(func(name, path string) error {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		state := fileState{info.Size(), info.ModTime()}
		if c.verified[name] == state && c.digests[name] != "" {
			return nil
		}
		if digest, err := digestOf(path); err == nil && digest == c.digests[name] {
			c.verified[name] = state
			return nil
		}
		delete(c.digests, name)
		return os.Remove(path)
	})
}

// entries visits all files that wazero has written.
func (c *diskCache) entries(visit func(name, path string) error) error {
	return filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Dir(path) == c.dir {
			return err
		}
		return visit(entry.Name(), path)
	})
}

// digestOf reads a file in pieces: entries have megabytes, which would all be garbage afterwards.
func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it is only read
	hash := sha256.New()
	_, err = io.CopyBuffer(hash, struct{ io.Reader }{file}, make([]byte, 256<<10))
	return hex.EncodeToString(hash.Sum(nil)), err
}

// compile compiles a module or takes it from the cache, and notes what it has written.
func (c *diskCache) compile(ctx context.Context, runtime wazero.Runtime, wasm []byte) (compiled wazero.CompiledModule, cached bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unlock, err := c.lock()
	if err != nil {
		return nil, false, fmt.Errorf("cannot lock the cache of compiled modules: %w", err)
	}
	defer unlock()
	if err := c.verify(); err != nil {
		return nil, false, fmt.Errorf("cannot check the cache of compiled modules: %w", err)
	}
	if compiled, err = runtime.CompileModule(ctx, wasm); err != nil {
		return nil, false, err
	}
	written, err := c.note()
	return compiled, !written, err
}

// note notes the digests of entries that are new, and says whether there are any.
func (c *diskCache) note() (written bool, err error) {
	before := maps.Clone(c.digests)
	err = c.entries(func(name, path string) (err error) {
		if c.digests[name] == "" && !strings.HasSuffix(name, ".tmp") {
			c.digests[name], err = digestOf(path)
		}
		return err
	})
	if err != nil || maps.Equal(before, c.digests) {
		return false, err
	}
	data, err := json.Marshal(c.digests)
	if err != nil {
		return true, err
	}
	return true, replaceFile(filepath.Join(c.dir, digestsFile), data)
}

// replaceFile writes a file so that at no time a half of it is there.
func replaceFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // err says more
	}
	return err
}

func (c *diskCache) close(ctx context.Context) error { return c.wazero.Close(ctx) }
