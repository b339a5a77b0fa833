package guest

import (
	"crypto/sha256"
	"errors"
	"os"
)

// source is a module as it was loaded, which is needed again when the module comes back after it was let go.
type source struct {
	digest [32]byte
	wasm   []byte   // nil if file has it
	file   *os.File // which has no name any more, so that nobody can change or remove it
}

// bytes returns the module.
func (s *source) bytes() ([]byte, error) {
	if s.file == nil {
		return s.wasm, nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	wasm := make([]byte, info.Size())
	if _, err := s.file.ReadAt(wasm, 0); err != nil {
		return nil, err
	}
	if sha256.Sum256(wasm) != s.digest {
		return nil, errors.New("it is not what was written")
	}
	return wasm, nil
}

// toDisk moves the module out of memory, to a file in a folder. If it cannot, the module stays where it is.
func (s *source) toDisk(dir string) {
	if s.wasm == nil {
		return
	}
	file, err := os.CreateTemp(dir, "module-*.tmp")
	if err != nil {
		return
	}
	_, err = file.Write(s.wasm)
	if removed := os.Remove(file.Name()); err != nil || removed != nil {
		_ = file.Close() // what was written is of no use
		return
	}
	s.file, s.wasm = file, nil
}

func (s *source) close() {
	if s.file != nil {
		_ = s.file.Close() // it was only read
	}
}
