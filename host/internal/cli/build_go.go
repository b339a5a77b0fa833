package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	goCommand  = "go"
	sdkPackage = "github.com/wasmloop/wasmloop/sdk"
)

// errNoGo says that there is no Go compiler.
var errNoGo = errors.New("the compiler go is not in PATH: install Go 1.26 or later (https://go.dev/doc/install), and see that `go version` answers")

// foreign are languages that are known by a file, and what builds them.
var foreign = []struct{ file, language, build string }{
	{"Cargo.toml", "Rust", "cargo build --release --target wasm32-wasip1"},
	{"asconfig.json", "AssemblyScript", "npx asc"},
	{"package.json", "JavaScript or AssemblyScript", "the command in its package.json"},
	{"CMakeLists.txt", "C or C++", "cmake with the toolchain of wasi-sdk"},
	{"build.zig", "Zig", "zig build -Dtarget=wasm32-wasi"},
	{"*.c", "C", "the clang of wasi-sdk"},
	{"*.rs", "Rust", "rustc --target wasm32-wasip1"},
	{"*.ts", "AssemblyScript", "npx asc"},
}

// checkGo says what is in a folder that has no Go source.
func checkGo(dir string) error {
	sources, err := filepath.Glob(filepath.Join(globEscape(dir), "*.go"))
	if err != nil || len(sources) > 0 {
		return err
	}
	for _, other := range foreign {
		if found, _ := filepath.Glob(filepath.Join(globEscape(dir), other.file)); len(found) > 0 {
			return fmt.Errorf("%s: it has %s source (%s), which wasmloop build does not compile: build it with %s, then wasmloop build --wasm FILE %s",
				dir, other.language, filepath.Base(found[0]), other.build, dir)
		}
	}
	return fmt.Errorf("%s: there is no Go source in it: name the folder of the module's main package, or make one with wasmloop init", dir)
}

// globEscape returns a path as a pattern that nothing else matches.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// compileGo builds the Go program in a folder.
func compileGo(ctx context.Context, stderr io.Writer, dir, tier string) (wasm []byte, err error) {
	if err := checkGo(dir); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(goCommand); err != nil {
		return nil, errNoGo
	}
	if tier, err = tierOf(ctx, dir, tier); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "wasmloop-build-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	out := filepath.Join(folder, "module.wasm")
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-w", "-o", out}
	if tier == tierReactor {
		args = append(args, "-buildmode=c-shared")
	} else {
		args = append(args, "-tags=wasmloop_command") // the SDK's, where it is asked for as a command
	}
	fmt.Fprintf(stderr, "► compiling %s as a Go %s\n", dir, tier)
	if _, err := goTool(ctx, dir, append(args, ".")...); err != nil {
		return nil, fmt.Errorf("%s: it does not compile: %w", dir, err)
	}
	return os.ReadFile(out)
}

// tierOf says what the Go program in a folder is to be built as.
func tierOf(ctx context.Context, dir, asked string) (string, error) {
	listed, err := goTool(ctx, dir, "list", "-json=Name,Deps", ".")
	if err != nil {
		return "", fmt.Errorf("%s: go does not find a program in it: %w", dir, err)
	}
	var found struct {
		Name string
		Deps []string
	}
	if err := json.Unmarshal(listed, &found); err != nil {
		return "", fmt.Errorf("%s: go list answers with something unknown: %w", dir, err)
	}
	switch {
	case found.Name != "main":
		return "", fmt.Errorf("%s: it is package %s: a module is a program, package main with a function main", dir, found.Name)
	case asked != tierAuto:
		return asked, nil
	case slices.Contains(found.Deps, sdkPackage):
		return tierReactor, nil
	default:
		return tierCommand, nil
	}
}

// goTool runs go in a folder, for WebAssembly, and returns what it writes. The error has what it complains of.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, goCommand, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if message := strings.TrimSpace(stderr.String()); err != nil && message != "" {
		err = errors.New(message)
	}
	return stdout, err
}

// revision returns the commit that git has checked out in a folder, with "-dirty" if anything but the file out differs from
// it: "" without git.
func revision(ctx context.Context, dir, out string) string {
	git := func(args ...string) (string, error) {
		answer, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		return string(answer), err
	}
	commit, err := git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil {
		return ""
	}
	commit = strings.TrimSpace(commit)
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return commit
	}
	changed, err := git("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
	if err != nil {
		return commit
	}
	for change := range strings.SplitSeq(strings.TrimSuffix(changed, "\x00"), "\x00") {
		const path = len("XY ")
		if len(change) > path && !isSameFile(filepath.Join(strings.TrimSpace(root), change[path:]), out) {
			return commit + "-dirty"
		}
	}
	return commit
}

// isSameFile says whether two paths name one file.
func isSameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errors.Is(errA, fs.ErrNotExist) || errors.Is(errB, fs.ErrNotExist) {
		return false
	}
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
