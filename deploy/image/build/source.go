package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// source is what is built: the working folder, as a version.
type source struct {
	version, revision string
	// created is the time of the commit, since the same sources are to give the same bytes.
	created time.Time
}

// newSource asks git, which may be missing, as in a container: then there is no revision, and SOURCE_DATE_EPOCH is the time.
func newSource(ctx context.Context, version string) (*source, error) {
	s := &source{version: version, revision: gitOutput(ctx, "rev-parse", "HEAD")}
	text := cmp.Or(os.Getenv("SOURCE_DATE_EPOCH"), gitOutput(ctx, "log", "-1", "--format=%ct"), "0")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH is %q: want seconds since 1970", text)
	}
	s.created = time.Unix(seconds, 0).UTC()
	return s, nil
}

// gitOutput returns what git says, nothing where it knows nothing.
func gitOutput(ctx context.Context, args ...string) string {
	output, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(output))
}

// content is what an image is made of.
type content struct {
	// binary is the host, and sample the module that the chart runs by default.
	binary, sample []byte
	files          []file
}

// build compiles the host and the sample module for a platform. The commit is not stamped into the binary by the toolchain, which
// would make it another one in each checkout with an uncommitted file: the image's labels have it.
func (s *source) build(ctx context.Context, platform v1.Platform) (*content, error) {
	work, err := os.MkdirTemp("", "wasmloop-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }() // it is a temporary folder
	binary, sample := filepath.Join(work, "wasmloop"), filepath.Join(work, "sample.wasm")
	env := []string{"CGO_ENABLED=0", "GOOS=" + platform.OS, "GOARCH=" + platform.Architecture}
	flags := "-s -w -X github.com/wasmloop/wasmloop/host/internal/cli.version=v" + s.version
	if err := goBuild(ctx, env, "-ldflags", flags, "-o", binary, "./host/cmd/wasmloop"); err != nil {
		return nil, err
	}
	env = []string{"GOOS=wasip1", "GOARCH=wasm"}
	if err := goBuild(ctx, env, "-ldflags", "-s -w", "-buildmode=c-shared", "-o", sample, "./modules/"+sampleModule); err != nil {
		return nil, err
	}
	c := &content{}
	if c.binary, err = os.ReadFile(binary); err != nil {
		return nil, err
	}
	if c.sample, err = os.ReadFile(sample); err != nil {
		return nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	c.files = rootfs(c.binary, c.sample, licence)
	return c, nil
}

func goBuild(ctx context.Context, env []string, args ...string) error {
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-buildvcs=false"}, args...)...)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", args[len(args)-1], err, output)
	}
	return nil
}
