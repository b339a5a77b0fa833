package localnode

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// importImage are ctr's arguments for an image archive on standard input.
var importImage = []string{"--namespace", "k8s.io", "images", "import", "-"}

// LoadImage loads the images in an archive, a tar file as docker save or an OCI layout has it, so that Pods can use them.
func (c *Cluster) LoadImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("cannot load an image: %w", err)
	}
	defer func() { _ = file.Close() }() // there is nothing more to do with it
	return load(c.Command(ctx, "ctr", importImage...), file)
}

// LoadProgram makes and loads an image that has just one program in it, which must need no other file.
func (c *Cluster) LoadProgram(ctx context.Context, image, path string) error {
	archive, err := archiveProgram(image, path)
	if err != nil {
		return err
	}
	return load(c.Command(ctx, "ctr", importImage...), archive)
}

func load(command *exec.Cmd, archive io.Reader) error {
	command.Stdin = archive
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot load an image: %w: %s", err, output)
	}
	return nil
}

// archiveProgram returns an archive, as docker save has it, of an image with one program in it.
func archiveProgram(image, path string) (io.Reader, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot make image %s: %w", image, err)
	}
	name := filepath.Base(path)
	layer := archive(file{name, program})
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/" + name}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{image}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(archive(file{"layer.tar", layer}, file{"config.json", config}, file{"manifest.json", manifest})), nil
}

type file struct {
	name string
	data []byte
}

// archive returns a tar archive. Writing to memory does not fail.
func archive(files ...file) []byte {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, f := range files {
		_ = writer.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data))})
		_, _ = writer.Write(f.data)
	}
	_ = writer.Close()
	return buffer.Bytes()
}
