package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

func newInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Say what a module is and how it will be run",
		Long: `Load a module as a host would, and say what it is: its tier, what it imports and exports, and how its instances are put
back after a call. A module that no host would run is an error that says why.`,
		Example: "  wasmloop inspect modules/markdownview/markdownview.wasm",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			inspection, err := engine.Inspect(command.Context(), "file://"+path)
			if err != nil {
				return err
			}
			return printInspection(command.OutOrStdout(), inspection)
		},
	}
}

func printInspection(w io.Writer, i *engine.Inspection) error {
	const mi = 1 << 20
	restoring := i.Restoring
	if i.Because != "" {
		restoring += " (" + i.Because + ")"
	}
	_, err := fmt.Fprintf(w, `digest   %s
size     %.2f MiB
tier     %s, ABI version %d
memory   %.2f MiB, %.2f MiB at the start of each call
calls    %s
imports  %s
exports  %s
`, i.Digest, float64(i.Size)/mi, i.Tier, abi.Version, float64(i.Memory)/mi, float64(i.Image)/mi, restoring,
		strings.Join(i.Imports, "\n         "), strings.Join(i.Exports, "\n         "))
	return err
}
