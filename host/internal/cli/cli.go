// Package cli is the wasmloop command line: one file for each subcommand.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit codes of wasmloop.
const (
	exitOK    = 0
	exitError = 1
)

// Run runs wasmloop with these arguments and returns its exit code: 0 if all went well, 1 or what a command says
// otherwise. Results go to stdout, all else to stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := newCommand(stderr) //nolint:contextcheck // cobra hands the context to the command
	command.SetArgs(args)
	command.SetOut(stdout)
	command.SetErr(stderr)
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "✗ %v\n", err)
		return exitCodeOf(err)
	}
	return exitOK
}

func newCommand(stderr io.Writer) *cobra.Command {
	command := &cobra.Command{
		Use:           "wasmloop",
		Short:         "Run Kubernetes controllers whose logic is a WebAssembly module",
		SilenceUsage:  true, // an error is about what was asked for, seldom about how
		SilenceErrors: true, // Run prints them
	}
	command.AddCommand(
		newBenchCommand(),
		newBuildCommand(),
		newCheckCommand(),
		newDocsCommand(),
		newExplainCommand(),
		newInitCommand(),
		newInspectCommand(),
		newKeygenCommand(),
		newLoadCommand(),
		newLockCommand(),
		newPruneCommand(),
		newPullCommand(),
		newPushCommand(),
		newRBACCommand(),
		newReleaseCommand(),
		newRenderCommand(),
		newReplayCommand(),
		newRunCommand(stderr),
		newSaveCommand(),
		newSignCommand(),
		newStatusCommand(),
		newTestCommand(),
		newVerifyCommand(),
		newVersionCommand(),
	)
	completeFlags(command)
	return command
}
