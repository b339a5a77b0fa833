package source

import (
	"fmt"
	"io"
	"os"
)

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return readBounded(file)
}

// readBounded reads all of a module that may be of any size.
func readBounded(r io.Reader) ([]byte, error) {
	bytes, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(bytes) > maxModule {
		err = errTooLarge
	}
	return bytes, err
}

var errTooLarge = fmt.Errorf("larger than %d MiB, which no module may be", maxModule>>20)
