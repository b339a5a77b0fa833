package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// user is who the host runs as: nobody's user by convention, as in distroless images.
	user = 65532
	// sampleModule is the module that the chart runs without a config.
	sampleModule = "serviceaddress"
	// cacheFolder is where the chart mounts a volume.
	cacheFolder = "var/cache/wasmloop"
)

// file is a file in the image, or a folder if it has no content.
type file struct {
	path    string
	mode    int64 // as tar has it: with the sticky bit
	user    int
	content []byte
}

func (f *file) isFolder() bool { return f.content == nil }

// rootfs returns all that is in the image, folders before what is in them.
func rootfs(binary, sample, licence []byte) []file {
	folder := func(path string) file { return file{path: path, mode: 0o755} }
	return []file{
		{path: "LICENSE", mode: 0o644, content: licence},
		folder("etc"),
		{path: "etc/group", mode: 0o644, content: []byte("root:x:0:\nwasmloop:x:65532:\n")},
		{path: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/:/sbin/nologin\nwasmloop:x:65532:65532:wasmloop:/tmp:/sbin/nologin\n")},
		folder("etc/ssl"),
		folder("etc/ssl/certs"),
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
		folder("modules"),
		{path: "modules/" + sampleModule + ".wasm", mode: 0o644, content: sample},
		{path: "tmp", mode: 0o1777, user: user},
		// A library of the local control plane makes this folder as the host starts, and panics if it cannot.
		{path: "tmp/kubebuilder-envtest", mode: 0o755, user: user},
		folder("var"),
		folder("var/cache"),
		{path: cacheFolder, mode: 0o700, user: user},
		{path: "wasmloop", mode: 0o755, content: binary},
	}
}

// authorities returns the certificates of Mozilla's root program, as PEM. Those that it trusts within bounds only are left out, since
// a file cannot say so.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return b.Bytes()
}

// writeTar returns the files as a tar archive, all of one time.
func writeTar(files []file, modified time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Uid: f.user, Gid: f.user, Size: int64(len(f.content)), ModTime: modified,
		}
		if f.isFolder() {
			header.Typeflag, header.Name = tar.TypeDir, f.path+"/"
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// writeTree writes the files below a folder. Owners are for the Dockerfile to give.
func writeTree(folder string, files []file) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(folder, filepath.FromSlash(f.path))
		mode := os.FileMode(f.mode & 0o777)
		if f.mode&0o1000 != 0 {
			mode |= os.ModeSticky
		}
		if f.isFolder() {
			if err := os.MkdirAll(path, mode); err != nil {
				return err
			}
		} else if err := os.WriteFile(path, f.content, mode); err != nil {
			return err
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}
