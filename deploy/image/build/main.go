// Command build makes the image of the host: no Docker daemon is needed, and the same sources give the same bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const usage = `Usage: build [flags]

Writes the image of the host for all platforms below a folder, from the sources in the working folder, which is that of the
repository: an OCI layout (oci), a Docker archive and an SBOM in SPDX for each platform (wasmloop-OS-ARCH.tar, .spdx.json).

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	name, version string
	platforms     []v1.Platform
	out, rootfs   string
	push          bool
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	source, err := newSource(ctx, o.version)
	if err != nil {
		return err
	}
	if o.rootfs != "" {
		return o.writeRootfs(ctx, source)
	}
	var built []*platformImage
	for _, platform := range o.platforms {
		image, err := buildImage(ctx, source, platform)
		if err != nil {
			return fmt.Errorf("cannot build for %s: %w", platform, err)
		}
		built = append(built, image)
	}
	if err := o.write(built, source); err != nil {
		return err
	}
	if o.push {
		return push(ctx, o.reference(), built)
	}
	return nil
}

func parse(args []string) (*options, error) {
	o := &options{}
	var platforms string
	set := flag.NewFlagSet("build", flag.ExitOnError)
	set.Usage = func() {
		fmt.Fprint(set.Output(), usage)
		set.PrintDefaults()
	}
	set.StringVar(&o.name, "name", "ghcr.io/wasmloop/wasmloop", "`repository` of the image")
	set.StringVar(&o.version, "version", "", "version of the host, 1.2.3, which is the image's tag (required)")
	set.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "`platforms` to build for")
	set.StringVar(&o.out, "out", "dist/image", "`folder` to write to")
	set.StringVar(&o.rootfs, "rootfs", "", "write what is in the image to this `folder` instead, for one platform")
	set.BoolVar(&o.push, "push", false, "push the image, too, with the credentials that docker login has written")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if o.version == "" || set.NArg() > 0 {
		return nil, fmt.Errorf("want --version and no arguments: make image gives it the chart's appVersion")
	}
	for name := range strings.SplitSeq(platforms, ",") {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" {
			return nil, fmt.Errorf("--platforms %q: want linux/ARCHITECTURE", name)
		}
		o.platforms = append(o.platforms, *platform)
	}
	if o.rootfs != "" && len(o.platforms) != 1 {
		return nil, fmt.Errorf("--rootfs is for one platform: give --platforms linux/ARCHITECTURE")
	}
	return o, nil
}

func (o *options) reference() string { return o.name + ":" + o.version }

func (o *options) writeRootfs(ctx context.Context, s *source) error {
	built, err := s.build(ctx, o.platforms[0])
	if err != nil {
		return err
	}
	return writeTree(o.rootfs, built.files)
}

// write writes everything anew.
func (o *options) write(built []*platformImage, s *source) error {
	if err := os.RemoveAll(o.out); err != nil {
		return err
	}
	if err := writeLayout(filepath.Join(o.out, "oci"), o.version, built); err != nil {
		return err
	}
	tag, err := newTag(o.reference())
	if err != nil {
		return err
	}
	for _, image := range built {
		base := filepath.Join(o.out, fmt.Sprintf("wasmloop-%s-%s", image.platform.OS, image.platform.Architecture))
		if err := tarball.WriteToFile(base+".tar", tag, image.image); err != nil {
			return err
		}
		bill, err := image.bill(s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(base+".spdx.json", bill, 0o644); err != nil {
			return err
		}
		size, err := image.image.Size()
		if err != nil {
			return err
		}
		digest, err := image.image.Digest()
		if err != nil {
			return err
		}
		layer, err := layerSize(image.image)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s@%s %.1f MB compressed\n", image.platform, o.reference(), digest, float64(size+layer)/1e6)
	}
	return nil
}
