package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// version is set by the linker for releases.
var version = "dev"

// unknown stands for what the build did not record.
const unknown = "(unknown)"

// buildInfo is what wasmloop was built from.
type buildInfo struct {
	// Version is that of the Go module, "dev" if it was built from a checkout.
	Version string `json:"version"`
	// Revision is the commit, with "-dirty" if there were other changes, and Time when it was made.
	Revision   string `json:"revision,omitempty"`
	Time       string `json:"time,omitempty"`
	ABIVersion int    `json:"abiVersion"`
	Go         string `json:"go"`
	Wazero     string `json:"wazero"`
	Platform   string `json:"platform"`
}

func newVersionCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version of wasmloop and of what it is made of",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			info, _ := debug.ReadBuildInfo()
			built := newBuildInfo(info)
			if output == outputJSON {
				return printJSON(command.OutOrStdout(), built)
			}
			return built.print(command.OutOrStdout())
		},
	}
	outputFlag(command, &output)
	return command
}

// newBuildInfo returns what the Go toolchain recorded, which may be nothing.
func newBuildInfo(info *debug.BuildInfo) *buildInfo {
	built := &buildInfo{
		Version: version, ABIVersion: abi.Version, Go: runtime.Version(), Wazero: unknown, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info == nil {
		return built
	}
	if version == "dev" && releaseForm.MatchString(info.Main.Version) {
		built.Version = info.Main.Version
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/tetratelabs/wazero" {
			built.Wazero = module.Version
		}
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	built.Revision, built.Time = settings["vcs.revision"], settings["vcs.time"]
	if settings["vcs.modified"] == "true" {
		built.Revision += "-dirty"
	}
	return built
}

func (b *buildInfo) print(w io.Writer) error {
	table := &fields{out: w}
	table.add("wasmloop", b.Version)
	table.add("revision", cmp.Or(b.Revision, unknown))
	if b.Time != "" {
		table.add("time", b.Time)
	}
	table.add("ABI", fmt.Sprint(b.ABIVersion))
	table.add("wazero", b.Wazero)
	table.add("go", b.Go+" "+b.Platform)
	return table.print()
}
