package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/host/internal/modinfo"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

const mebibyte = 1 << 20

// inspectFlags are the flags of wasmloop inspect.
type inspectFlags struct {
	registryFlags

	output string
}

func newInspectCommand() *cobra.Command {
	flags := &inspectFlags{}
	command := &cobra.Command{
		Use:   "inspect FILE | SOURCE",
		Short: "Say what a module is, how it will be run, and what it needs",
		Long: `Load a module as a host would, from a file or a source like oci://REGISTRY/REPOSITORY:TAG, and say what it is: its tier, what
it imports and exports, what it says of itself, how its instances are put back after a call, and the config entry and RBAC
rules that it needs, ready to paste. A module that no host would run is an error that says why.

The rules follow from what the module says of itself, which wasmloop build takes from ` + modinfo.File + `. Where that does not name
a kind's resource, it is guessed from the kind.

` + registryHelp,
		Example: `  wasmloop inspect modules/markdownview/markdownview.wasm
  wasmloop inspect oci://ghcr.io/acme/greeting:1.0
  wasmloop inspect greeting.wasm -o json | jq -r .clusterRole | kubectl apply -f -`,
		Args:              oneArgument("the .wasm file or the source"),
		ValidArgsFunction: completeFiles("wasm"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.inspect(command, args[0])
		},
	}
	flags.register(command)
	outputFlag(command, &flags.output)
	return command
}

func (f *inspectFlags) inspect(command *cobra.Command, path string) error {
	module, origin, err := f.find(command, path)
	if err != nil {
		return err
	}
	inspection, err := engine.Inspect(command.Context(), module)
	if err != nil {
		return refused(path, err)
	}
	if f.output == outputJSON {
		return printJSON(command.OutOrStdout(), newInspectionView(path, origin, inspection))
	}
	return printInspection(command.OutOrStdout(), path, origin, inspection)
}

// find returns a module, and the source that a config would have it by.
func (f *inspectFlags) find(command *cobra.Command, path string) (module *source.Module, origin string, err error) {
	if strings.Contains(path, "://") {
		if module, err = f.fetch(command, path); err != nil {
			return nil, "", err
		}
		return module, module.Pinned, nil
	}
	module, err = fetchFile(command.Context(), path)
	return module, "file://" + filepath.ToSlash(filepath.Base(path)), err
}

// fetchFile reads a module from a file.
func fetchFile(ctx context.Context, path string) (*source.Module, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file: wasmloop build makes one", path)
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: it is a folder: name the .wasm file in it", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is not a regular file: write the module to one", path)
	}
	return source.Fetch(ctx, "file://"+absolute)
}

// refused says of a module that no host runs what is wrong with it and, where it is known, what to do.
func refused(path string, err error) error {
	text := err.Error()
	for _, advice := range advices {
		for _, sign := range advice.signs {
			if strings.Contains(text, sign) {
				return fmt.Errorf("%s: %w: %s", path, err, advice.text)
			}
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// advices are what to do about a module that no host runs, by what the host says of it. The first that fits is given.
var advices = []struct {
	signs []string
	text  string
}{
	{[]string{`"gojs.`, `"go.runtime`}, "it was built for the browser: build it with GOOS=wasip1 instead of GOOS=js"},
	{[]string{`__wbindgen`, `wbg.`}, "it was built for the browser: build it for --target wasm32-wasip1, without wasm-bindgen"},
	{[]string{`"wasi:`, `"wasi_snapshot_preview2`}, "it was built for WASI preview 2: build it for preview 1 (wasip1)"},
	{[]string{`"wasi_unstable.`}, "it was built for an early WASI: build it with a compiler that knows wasi_snapshot_preview1"},
	{[]string{`"env.`}, "functions of the module env are those that the linker did not find: link them in, for C with the libc of wasi-sdk"},
	{[]string{"imports what the host does not offer"}, "a module may import functions of wasmloop and of wasi_snapshot_preview1 alone: see sdk/ABI.md"},
	{[]string{"exports neither"}, "build a program for the command tier (in Go with GOOS=wasip1), or register a function with the SDK and build a library"},
	{[]string{"can be metered", "not a valid WebAssembly module"}, "a module may have the features of WebAssembly 2.0, and no later ones: turn those off, or build it anew if it is damaged"},
}

// inspectionView is an inspection as -o json shows it.
type inspectionView struct {
	File       string `json:"file"`
	Digest     string `json:"digest"`
	Size       int    `json:"size"`
	Tier       string `json:"tier"`
	ABIVersion int    `json:"abiVersion"`
	// MemoryAtStart and MemoryPerCall are the memory's size at first and at the start of each call, in bytes.
	MemoryAtStart uint64 `json:"memoryAtStart"`
	MemoryPerCall uint64 `json:"memoryPerCall"`
	MemoryLimit   uint64 `json:"memoryLimit,omitempty"`
	// Calls says how instances are put back after a call, Because why that is not the best way.
	Calls       string            `json:"calls"`
	Because     string            `json:"because,omitempty"`
	Imports     []string          `json:"imports"`
	Exports     []string          `json:"exports"`
	Metadata    *modinfo.Metadata `json:"metadata,omitempty"`
	Fault       string            `json:"metadataFault,omitempty"`
	Config      string            `json:"config,omitempty"`
	ClusterRole string            `json:"clusterRole,omitempty"`
}

func newInspectionView(path, origin string, i *engine.Inspection) *inspectionView {
	view := &inspectionView{
		File: path, Digest: i.Digest, Size: i.Size, Tier: string(i.Tier), ABIVersion: abi.Version,
		MemoryAtStart: i.Memory, MemoryPerCall: i.Image, MemoryLimit: i.MemoryLimit,
		Calls: i.Restoring, Because: i.Because, Imports: i.Imports, Exports: i.Exports, Metadata: i.Metadata,
	}
	if i.MetadataFault != nil {
		view.Fault = i.MetadataFault.Error()
	}
	if saysKinds(i) {
		view.Config, view.ClusterRole = configOf(origin, i), i.Metadata.ClusterRole()
	}
	return view
}

// configOf returns the module's entries in a config file, for a file in the same folder.
func configOf(origin string, i *engine.Inspection) string {
	limit := ""
	if i.MemoryLimit > 0 {
		limit = fmt.Sprintf("%dMi", i.MemoryLimit/mebibyte)
	}
	return i.Metadata.Config(origin, limit)
}

func printInspection(w io.Writer, path, origin string, i *engine.Inspection) error {
	calls := i.Restoring
	if i.Because != "" {
		calls += ": " + i.Because
	}
	memory := fmt.Sprintf("%s at first, %s at the start of each call", mebibytes(i.Memory), mebibytes(i.Image))
	if i.MemoryLimit > 0 {
		memory += fmt.Sprintf("; needs limits.memory: %dMi", i.MemoryLimit/mebibyte)
	}
	table := &fields{out: w}
	table.add("file", path)
	if strings.Contains(path, "://") {
		table.add("pinned", origin)
	}
	table.add("digest", i.Digest)
	table.add("size", mebibytes(uint64(i.Size)))
	table.add("tier", fmt.Sprintf("%s, ABI version %d", i.Tier, abi.Version))
	table.add("memory", memory)
	table.add("calls", calls)
	table.add("imports", i.Imports...)
	table.add("exports", i.Exports...)
	if i.Metadata != nil {
		addMetadata(table, i.Metadata)
	}
	if err := table.print(); err != nil {
		return err
	}
	if !saysKinds(i) {
		return printNoKinds(w, i)
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n%s\n%s",
		heading(w, "# for the config file"), configOf(origin, i), heading(w, "# for the host's service account"), i.Metadata.ClusterRole())
	return err
}

// saysKinds says whether a config entry follows from what the module says of itself.
func saysKinds(i *engine.Inspection) bool { return i.Metadata != nil && len(i.Metadata.For) > 0 }

func printNoKinds(w io.Writer, i *engine.Inspection) error {
	reason := "the module does not say which kinds it reconciles and owns"
	if i.MetadataFault != nil {
		reason = i.MetadataFault.Error()
	}
	_, err := fmt.Fprintf(w, "\nNo config entry and no RBAC rules: %s.\nBuild it with wasmloop build and a file %s beside its source.\n", reason, modinfo.File)
	return err
}

func addMetadata(table *fields, m *modinfo.Metadata) {
	table.add("name", m.Name)
	table.add("version", cmp.Or(m.Version, "-"))
	table.add("revision", cmp.Or(m.Revision, "-"))
	table.add("description", cmp.Or(m.Description, "-"))
	table.add("reconciles", kindNames(m.For)...)
	table.add("owns", kindNames(m.Owns)...)
	if len(m.Related) > 0 {
		table.add("related", kindNames(m.Related)...)
	}
}

func kindNames(kinds []modinfo.Kind) []string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = kind.APIVersion + " " + kind.Kind
	}
	return names
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.2f MiB", float64(n)/mebibyte) }

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
