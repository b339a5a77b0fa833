package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

func newReleaseCommand() *cobra.Command {
	flags := &leftoverFlags{}
	command := &cobra.Command{
		Use:   "release [KIND [NAMESPACE/]NAME]",
		Short: "List or let go objects that a controller's finalizer holds",
		Long: `List the objects that have a controller's finalizer, wasmloop.dev/CONTROLLER, all or the one that is named. With --yes,
take it off them, so that those that are being deleted go.

A host takes its finalizers off by itself, when what is to be done before is done. This is for when it cannot: its controller
was removed from the config, or its module cannot be mended. What the controller would have cleaned up stays behind:
wasmloop prune finds it.`,
		Example: `  # What does the controller "site" hold?
  wasmloop release --controller site

  # Let one object go
  wasmloop release --controller site --yes Site default/mine`,
		Args: cobra.MatchAll(cobra.MaximumNArgs(2), func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return errors.New("give KIND and [NAMESPACE/]NAME, or neither")
			}
			return nil
		}),
		RunE: func(command *cobra.Command, args []string) error {
			return flags.release(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), args)
		},
	}
	flags.register(command, "take the finalizer off the objects that are listed")
	_ = command.MarkFlagRequired("controller") // fails only for a flag that does not exist
	return command
}

func (f *leftoverFlags) release(ctx context.Context, stdout, stderr io.Writer, object []string) error {
	finalizer := "the finalizer wasmloop.dev/" + f.controller
	none, named := "no object has "+finalizer, len(object) > 0
	if named {
		none = fmt.Sprintf("there is no %s %s with %s (name an object in a namespace as NAMESPACE/NAME)", object[0], object[1], finalizer)
	}
	return f.treat(ctx, stdout, stderr, treatment{
		wanted: func(leftover engine.Leftover) bool {
			return leftover.Held && (!named || isNamed(leftover, object[0], object[1]))
		},
		header: "STATE",
		none:   none,
		needed: named,
		todo:   "nothing was changed; with --yes, " + finalizer + " is taken off what is listed",
		done:   "released",
	})
}

// isNamed says whether a leftover is the object that the user names.
func isNamed(leftover engine.Leftover, kind, name string) bool {
	object := leftover.Object
	return strings.EqualFold(kind, object.Kind.Kind) && name == strings.TrimPrefix(object.Namespace+"/"+object.Name, "/")
}
