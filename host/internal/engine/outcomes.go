package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// outcomesInterval is how often outcomes are written down. What a process that is killed knew since then, the next one
// finds out by calling the module.
const outcomesInterval = 30 * time.Second

// outcomes is a file of the cache folder that remembers which observations nothing followed from. Whoever can write there
// can keep objects from being reconciled, and could run code in the host anyway.
type outcomes struct {
	path string
	log  logr.Logger

	mu      sync.Mutex
	known   map[reconcile.Identity]bool // as the last process left them
	settled map[key]reconcile.Identity
	changed bool
}

// openOutcomes opens the outcomes of a controller. They are of use only for the same module, config entry and host.
func openOutcomes(cacheDir string, entry config.Controller, digest string, log logr.Logger) (*outcomes, error) {
	epoch, err := epochOf(entry, digest)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cacheDir, "outcomes", entry.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep outcomes: %w", err)
	}
	o := &outcomes{
		path: filepath.Join(dir, epoch), log: log,
		known: map[reconcile.Identity]bool{}, settled: map[key]reconcile.Identity{},
	}
	if err := o.removeOthers(dir); err != nil {
		return nil, err
	}
	return o, o.read()
}

// epochOf names all that an outcome depends on beside the observation.
func epochOf(entry config.Controller, digest string) (string, error) {
	encoded, err := json.Marshal(entry)
	if err != nil {
		return "", fmt.Errorf("cannot encode the config of controller %s: %w", entry.Name, err)
	}
	host, err := hostVersion()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(bytes.Join([][]byte{encoded, []byte(digest), []byte(host)}, []byte{0}))
	return hex.EncodeToString(sum[:16]), nil
}

// hostVersion tells this program from others, also from one that was built of sources that have no version.
func hostVersion() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program: %w", err)
	}
	file, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot find this program: %w", err)
	}
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.String()
	}
	return fmt.Sprintf("%s %d %s", version, file.Size(), file.ModTime().UTC().Format(time.RFC3339Nano)), nil
}

// removeOthers removes what was remembered for other modules, config entries and hosts.
func (o *outcomes) removeOthers(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot read the outcomes: %w", err)
	}
	for _, file := range files {
		if path := filepath.Join(dir, file.Name()); path != o.path {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("cannot remove old outcomes: %w", err)
			}
		}
	}
	return nil
}

// read reads the file: a SHA-256 sum of the rest, then one identity after the other. A file that is not whole is passed
// over.
func (o *outcomes) read() error {
	data, err := os.ReadFile(o.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the outcomes: %w", err)
	}
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
		o.log.Info("what is remembered of the last run is damaged; each object is reconciled anew", "file", o.path)
		return nil
	}
	for data = data[sha256.Size:]; len(data) >= len(reconcile.Identity{}); data = data[len(reconcile.Identity{}):] {
		o.known[reconcile.Identity(data)] = true
	}
	return nil
}

// Known implements reconcile.Outcomes.
func (o *outcomes) Known(identity reconcile.Identity) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[identity]
}

// Settled implements reconcile.Outcomes.
func (o *outcomes) Settled(kind reconcile.Kind, name types.NamespacedName, identity reconcile.Identity) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key{kind.GroupVersionKind, name}
	o.changed = o.changed || o.settled[k] != identity
	o.settled[k] = identity
}

// Unsettled implements reconcile.Outcomes.
func (o *outcomes) Unsettled(kind reconcile.Kind, name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := key{kind.GroupVersionKind, name}
	_, there := o.settled[k]
	o.changed = o.changed || there
	delete(o.settled, k)
}

// keep writes the outcomes down from time to time, and when ctx is done.
func (o *outcomes) keep(ctx context.Context) {
	ticker := time.NewTicker(outcomesInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		o.writeDown()
		if ctx.Err() != nil {
			return
		}
	}
}

func (o *outcomes) write() error {
	data, changed := o.encode()
	if !changed {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(o.path), "new-") // for this user alone
	if err != nil {
		return err
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), o.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// writeDown writes the outcomes if they have changed. What cannot be written now is tried again the next time.
func (o *outcomes) writeDown() {
	if err := o.write(); err != nil {
		o.log.Error(err, "cannot remember outcomes; the next start takes longer")
		o.mu.Lock()
		defer o.mu.Unlock()
		o.changed = true
	}
}

func (o *outcomes) encode() (data []byte, changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.changed {
		return nil, false
	}
	o.changed = false
	data = make([]byte, sha256.Size, sha256.Size*(len(o.settled)+1))
	for _, identity := range o.settled {
		data = append(data, identity[:]...)
	}
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, true
}
