package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// version is set by the linker for releases.
var version = "dev"

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of wasmloop and of what it is made of",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "wasmloop %s, ABI version %d, wazero %s, %s %s/%s\n",
				version, abi.Version, dependency("github.com/tetratelabs/wazero"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// dependency returns the version of a module that wasmloop was built with.
func dependency(path string) string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, module := range info.Deps {
			if module.Path == path {
				return module.Version
			}
		}
	}
	return "(unknown)"
}
