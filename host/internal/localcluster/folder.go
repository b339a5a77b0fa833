package localcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	temporaryPrefix = "wasmloop-localcluster-"
	lockName        = "lock"
)

// ErrInUse means that a running cluster uses the folder.
var ErrInUse = errors.New("the folder is in use by a running cluster")

// folder is where a cluster keeps its files. It is locked while a cluster uses it.
type folder struct {
	dir       string
	temporary bool
	lock      *os.File
	files     []*os.File
}

// openFolder locks dir, which it creates when missing. An empty dir means a temporary folder, which close removes.
func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, temporary: dir == ""}
	if err := f.create(); err != nil {
		return nil, fmt.Errorf("cannot create the cluster's folder: %w", err)
	}
	lock, err := lockFolder(f.dir)
	if err != nil {
		return nil, err
	}
	f.lock = lock
	for _, sub := range []string{"etcd", "logs", "pki"} {
		if err := os.MkdirAll(f.path(sub), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot create the cluster's folder: %w", err), f.close())
		}
	}
	return f, nil
}

func (f *folder) create() (err error) {
	if f.temporary {
		RemoveAbandoned(temporaryPrefix)
		f.dir, err = os.MkdirTemp("", temporaryPrefix)
		return err
	}
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return err
	}
	return os.MkdirAll(f.dir, 0o700)
}

func (f *folder) path(elements ...string) string {
	return filepath.Join(append([]string{f.dir}, elements...)...)
}

// openLog returns the file that takes a server's output, empty. It is closed with the folder.
func (f *folder) openLog(server string) (*os.File, error) {
	file, err := os.OpenFile(f.logPath(server), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", server, err)
	}
	f.files = append(f.files, file)
	return file, nil
}

func (f *folder) logPath(server string) string {
	return f.path("logs", server+".log")
}

// explain adds to a server's error where its log is and how that ends: a temporary folder will be gone by the time
// somebody wants to look.
func (f *folder) explain(server string, err error) error {
	const lines = 5
	err = fmt.Errorf("%w (its log is %s)", err, f.logPath(server))
	text, readErr := os.ReadFile(f.logPath(server))
	tail := strings.Split(strings.TrimSpace(string(text)), "\n")
	if readErr != nil || tail[0] == "" {
		return err
	}
	tail = tail[max(0, len(tail)-lines):]
	return fmt.Errorf("%w\n\t%s", err, strings.Join(tail, "\n\t"))
}

// close unlocks the folder and, when it is temporary, removes it.
func (f *folder) close() error {
	var errs []error
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	if f.temporary {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(append(errs, f.lock.Close())...)
}

// lockFolder takes the folder for this process until the file it returns is closed or the process ends.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the cluster's folder: %w", err)
	}
	if err := lockFile(file); err != nil {
		holder, _ := os.ReadFile(path)
		return nil, errors.Join(fmt.Errorf("%w: %s, by process %s", ErrInUse, dir, holder), file.Close())
	}
	if err := errors.Join(file.Truncate(0), writeAt(file, fmt.Sprint(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock the cluster's folder: %w", err), file.Close())
	}
	return file, nil
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

// RemoveAbandoned removes the temporary folders of clusters whose processes were killed and could not do it themselves: those with
// this prefix that nobody has locked. It is a courtesy: what cannot be removed stays.
func RemoveAbandoned(prefix string) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		// A new folder is not locked yet for a moment.
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if lock, err := lockFolder(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}
