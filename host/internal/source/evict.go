package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// used is a record with when it was used last.
type used struct {
	record
	path string
	at   time.Time
}

// evict removes what is beyond the limit: the artifacts that were not used for longest, and then all that belongs to none.
func (s *store) evict() error {
	records, err := s.records()
	if err != nil {
		return err
	}
	kept, size := map[string]bool{}, int64(0)
	for _, r := range records {
		more := int64(0)
		for digest, blob := range r.Blobs {
			if !kept[s.path(blobsFolder, string(digest))] {
				more += blob
			}
		}
		if size+more > s.limit {
			continue
		}
		size += more
		kept[r.path] = true
		for digest := range r.Blobs {
			kept[s.path(blobsFolder, string(digest))] = true
		}
	}
	return errors.Join(s.removeOthers(artifactsFolder, kept), s.removeOthers(blobsFolder, kept), s.forget(kept))
}

// records returns all records, those used last first.
func (s *store) records() ([]used, error) {
	var records []used
	err := s.files(artifactsFolder, func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		r := used{path: path, at: info.ModTime()}
		if readJSON(path, &r.record) && filepath.Base(path) == r.Root.Digest.Encoded() {
			records = append(records, r)
		}
		return nil
	})
	slices.SortStableFunc(records, func(a, b used) int { return b.at.Compare(a.at) })
	return records, err
}

// files visits the files of a folder. One that goes meanwhile is none: whoever reads removes what is not as it should be.
func (s *store) files(folder string, visit func(path string) error) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := visit(filepath.Join(s.dir, folder, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *store) removeOthers(folder string, kept map[string]bool) error {
	return s.files(folder, func(path string) error {
		if kept[path] {
			return nil
		}
		return os.Remove(path)
	})
}

// forget removes what is noted of tags whose artifact is gone.
func (s *store) forget(kept map[string]bool) error {
	return s.files(sourcesFolder, func(path string) error {
		var r resolution
		if readJSON(path, &r) && digest.Digest(r.Digest).Validate() == nil && kept[s.path(artifactsFolder, r.Digest)] {
			return nil
		}
		return os.Remove(path)
	})
}
