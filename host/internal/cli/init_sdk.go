package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
)

const (
	// sdkModule is the Go module that has the SDK.
	sdkModule = "github.com/wasmloop/wasmloop"
	// sdkGo is the version of Go that it needs.
	sdkGo = "1.26.0"
	goMod = "go.mod"
)

var (
	isSDKModule = regexp.MustCompile(`(?m)^module\s+"?` + regexp.QuoteMeta(sdkModule) + `"?\s*(//.*)?$`)
	requiresSDK = regexp.MustCompile(`(?m)^\s*(require\s+)?` + regexp.QuoteMeta(sdkModule) + `\s+v`)
)

// goModuleAround returns the folder of the Go module that a folder, which need not exist, is in: "" if it is in none.
func goModuleAround(folder string) string {
	for {
		if _, err := os.Stat(filepath.Join(folder, goMod)); err == nil {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			return ""
		}
		folder = above
	}
}

// isSDK says whether the SDK's own source is in a folder.
func isSDK(folder string) bool {
	text, err := os.ReadFile(filepath.Join(folder, goMod)) //nolint:gosec // the user names it
	return err == nil && isSDKModule.Match(text)
}

// hasSDK says whether a Go module can import the SDK.
func hasSDK(folder string) bool {
	text, err := os.ReadFile(filepath.Join(folder, goMod)) //nolint:gosec // it is above the user's folder
	return err == nil && (isSDKModule.Match(text) || requiresSDK.Match(text))
}

// executable returns the path of this wasmloop, "" if it is not known.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return path
}

// ownCheckout returns the checkout that this wasmloop lies in, "" if it lies in none.
func ownCheckout() string {
	path := executable()
	if path == "" {
		return ""
	}
	if folder := goModuleAround(filepath.Dir(path)); folder != "" && isSDK(folder) {
		return folder
	}
	return ""
}

var releaseForm = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[a-z]+\.\d+)?$`)

// release returns the version of wasmloop if it is one that the module proxy has, "" if it was built from a checkout.
func release() string {
	for _, candidate := range []string{version, mainVersion()} {
		if releaseForm.MatchString(candidate) {
			return candidate
		}
	}
	return ""
}

// mainVersion is the version that the Go toolchain knows.
func mainVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}
