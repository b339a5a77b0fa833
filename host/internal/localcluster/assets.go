package localcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"
	managerName   = "kube-controller-manager"

	assetsVariable = "KUBEBUILDER_ASSETS"
)

// ErrNoAssets means that the control plane's binaries are not where they are expected.
var ErrNoAssets = errors.New("the control plane's binaries are missing")

// assets is a folder with the control plane's binaries.
type assets string

func (a assets) path(name string) string {
	return filepath.Join(string(a), name)
}

// findAssets returns the folder that holds the needed binaries: dir, or else the one named by the environment, or else the
// one that make assets fills.
func findAssets(dir string, needed []string) (assets, error) {
	origin := "the folder given"
	if dir == "" {
		dir, origin = os.Getenv(assetsVariable), assetsVariable
	}
	if dir == "" {
		return findBuiltAssets(needed)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cannot find the control plane's binaries: %w", err)
	}
	if name := missing(assets(dir), needed); name != "" {
		return "", fmt.Errorf("%w: %s, %s, has no %s: run `make assets` and use its folder bin/assets",
			ErrNoAssets, origin, dir, name)
	}
	return assets(dir), nil
}

// findBuiltAssets looks for bin/assets from the working directory upwards, since tests run in their package's folder.
func findBuiltAssets(needed []string) (assets, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the control plane's binaries: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if found := assets(filepath.Join(dir, "bin", "assets")); missing(found, needed) == "" {
			return found, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%w: there is no complete bin/assets in %s or above it: run `make assets`", ErrNoAssets, start)
		}
	}
}

// missing returns the first needed binary that the folder lacks.
func missing(dir assets, needed []string) string {
	for _, name := range needed {
		if info, err := os.Stat(dir.path(name)); err != nil || !isProgram(info) {
			return name
		}
	}
	return ""
}

func isProgram(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
