package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/host/internal/modinfo"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// buildFlags are the flags of wasmloop build.
type buildFlags struct {
	out     string
	wasm    string
	tier    string
	version string
	format  string
}

// The values of build --tier.
const (
	tierAuto    = "auto"
	tierReactor = "reactor"
	tierCommand = "command"
)

func newBuildCommand() *cobra.Command {
	flags := &buildFlags{}
	command := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build a module from its source, check it, and write into it what it is",
		Long: `Build the module whose source is in a folder (default: the working directory) to DIR/NAME.wasm.

A Go program that imports the SDK becomes a reactor; any other Go program becomes a command, which reads its request from stdin
and writes its response to stdout. What another compiler built is taken with --wasm FILE.

What a host would refuse is refused here, and the file that was there stays. The file ` + modinfo.File + ` beside the source says what the
module is: its name (default: that of the folder), version and description, and the kinds that it reconciles and owns. Together
with the commit that git names, it is written into the custom section ` + modinfo.Section + `, which wasmloop inspect shows. The same
source gives the same bytes.`,
		Example: `  # DIR/NAME.wasm from the Go source in the working directory
  wasmloop build

  # What cargo built, with the module.yaml in the working directory
  wasmloop build --wasm target/wasm32-wasip1/release/greeting.wasm`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFolders,
		RunE: func(command *cobra.Command, args []string) error {
			return flags.build(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), append(args, ".")[0])
		},
	}
	set := command.Flags()
	set.StringVar(&flags.out, "out", "", "`file` to write (default: DIR/NAME.wasm)")
	set.StringVar(&flags.wasm, "wasm", "", "take the module in this `file`, which another compiler built")
	set.StringVar(&flags.tier, "tier", tierAuto, "what to build Go source as: reactor, command, or auto, which goes by its imports")
	set.StringVar(&flags.version, "module-version", "", "the module's `version`, instead of the one in "+modinfo.File)
	outputFlag(command, &flags.format)
	_ = command.MarkFlagFilename("wasm", "wasm") // these two fail only for a flag that does not exist
	_ = command.RegisterFlagCompletionFunc("tier", cobra.FixedCompletions([]string{tierAuto, tierReactor, tierCommand}, cobra.ShellCompDirectiveNoFileComp))
	command.MarkFlagsMutuallyExclusive("wasm", "tier")
	return command
}

// built is the result of a build.
type built struct {
	File     string            `json:"file"`
	Digest   string            `json:"digest"`
	Size     int               `json:"size"`
	Tier     string            `json:"tier"`
	Metadata *modinfo.Metadata `json:"metadata"`
}

func (f *buildFlags) build(ctx context.Context, stdout, stderr io.Writer, dir string) error {
	if err := f.check(dir); err != nil {
		return err
	}
	metadata, err := f.metadata(dir)
	if err != nil {
		return err
	}
	out := cmp.Or(f.out, filepath.Join(dir, metadata.Name+".wasm"))
	metadata.Revision = revision(ctx, dir, out)
	wasm, err := f.compile(ctx, stderr, dir)
	if err != nil {
		return err
	}
	subject := cmp.Or(f.wasm, dir)
	if wasm, err = modinfo.Embed(wasm, metadata); err != nil {
		return refused(subject, err)
	}
	sum := sha256.Sum256(wasm)
	module := &source.Module{Bytes: wasm, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	inspection, err := engine.Inspect(ctx, module)
	if err != nil {
		return refused(subject, err)
	}
	if err := writeFile(out, wasm); err != nil {
		return fmt.Errorf("cannot write %s: %w", out, err)
	}
	if len(metadata.For) == 0 {
		fmt.Fprintf(stderr, "! the module does not say which kinds it reconciles: list them in %s\n", filepath.Join(dir, modinfo.File))
	}
	return f.report(stdout, stderr, built{out, module.Digest, len(wasm), string(inspection.Tier), metadata})
}

// check checks what can be checked before anything is done.
func (f *buildFlags) check(dir string) error {
	if err := checkOutput(f.format); err != nil {
		return err
	}
	if f.tier != tierAuto && f.tier != tierReactor && f.tier != tierCommand {
		return fmt.Errorf("unknown --tier %q: want reactor, command or auto", f.tier)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such folder: wasmloop init makes one", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: it is not a folder: name the folder that it is in, or take a module as it is with --wasm FILE", dir)
	}
	if folder := filepath.Dir(f.out); f.out != "" {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot write %s: there is no folder %s", f.out, folder)
		}
	}
	return nil
}

// metadata returns what the module is to say of itself.
func (f *buildFlags) metadata(dir string) (*modinfo.Metadata, error) {
	metadata, err := modinfo.ReadFile(filepath.Join(dir, modinfo.File))
	if errors.Is(err, fs.ErrNotExist) {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		metadata = &modinfo.Metadata{Name: filepath.Base(absolute)}
	} else if err != nil {
		return nil, err
	}
	metadata.ABIVersion = abi.Version
	metadata.Version = cmp.Or(f.version, metadata.Version)
	return metadata, nil
}

// compile returns the module as the compiler makes it.
func (f *buildFlags) compile(ctx context.Context, stderr io.Writer, dir string) ([]byte, error) {
	if f.wasm == "" {
		return compileGo(ctx, stderr, dir, f.tier)
	}
	fetched, err := fetchFile(ctx, f.wasm)
	if err != nil {
		return nil, err
	}
	return fetched.Bytes, nil
}

func (f *buildFlags) report(stdout, stderr io.Writer, result built) error {
	if f.format == outputJSON {
		return printJSON(stdout, result)
	}
	table := &fields{out: stdout}
	table.add("file", result.File)
	table.add("size", mebibytes(uint64(result.Size)))
	table.add("digest", result.Digest)
	table.add("tier", result.Tier)
	if err := table.print(); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "✔ built; the config entry and RBAC rules that it needs: wasmloop inspect %s\n", result.File)
	return nil
}

// writeFile writes a file whole or not at all: a host that watches it must not load half a module.
func writeFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // err says more
		}
	}()
	_, err = file.Write(data)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil { //nolint:gosec // as compilers write what is not secret
		return err
	}
	return os.Rename(file.Name(), path)
}
